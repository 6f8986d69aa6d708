-- Note the names of queues.
-- Keys: names
-- Flags: allow-oom
-- Arguments: names.

return redis.call('SADD', NAMES, unpack(ARGV))
