-- Delete a schedule. The queue remembers the last version, so that no later one has it again.
-- Keys: schedules
-- Flags: allow-oom
-- Arguments: the name.
-- Answers whether it was there.

return redis.call('HDEL', SCHEDULES, ARGV[1])
