-- The names of all queues.
-- Keys: names

return redis.call('SMEMBERS', NAMES)
