-- Note that a worker is alive, and forget others that are not.
-- Keys: workers expiring
-- Uses: time worker
-- Flags: allow-oom
-- Arguments: now or nothing, the worker, for how long, its queues as JSON, what it says of itself.

local MOST = 100  -- so many are forgotten at once, which is more than come

local now, worker, ttl, queues, info = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local since, expires_at = now, now + ttl
local row = redis.call('HGET', WORKERS, worker)
if row then
    local first, ended = struct.unpack(ROW, row)
    if ended > now then
        since = first
    end
end
local expired = redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', digits(now), 'LIMIT', 0, MOST)
if #expired > 0 then
    redis.call('HDEL', WORKERS, unpack(expired))
    redis.call('ZREM', EXPIRING, unpack(expired))
end
redis.call('HSET', WORKERS, worker, struct.pack(ROW, since, expires_at, #queues) .. queues .. info)
redis.call('ZADD', EXPIRING, digits(expires_at), worker)
return 1
