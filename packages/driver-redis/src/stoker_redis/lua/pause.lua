-- Pause or resume a queue.
-- Keys: meta work
-- Flags: allow-oom
-- Arguments: 1 to pause, 0 to resume.

if ARGV[1] == '1' then
    return redis.call('HSET', META, 'paused', 1)
end
redis.call('XLEN', WORK)  -- raises WRONGTYPE before anything is written
redis.call('HDEL', META, 'paused')
redis.call('XADD', WORK, 'MAXLEN', '~', 1, '*', 'hint', '')
return 0
