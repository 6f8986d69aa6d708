-- Note the names of queues.
-- Keys: names
-- Arguments: names.

return redis.call('SADD', NAMES, unpack(ARGV))
