-- Forget a worker.
-- Keys: workers expiring
-- Flags: allow-oom
-- Arguments: the worker.

redis.call('ZCARD', EXPIRING)  -- raises WRONGTYPE before anything is written
redis.call('HDEL', WORKERS, ARGV[1])
return redis.call('ZREM', EXPIRING, ARGV[1])
