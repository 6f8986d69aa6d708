-- Delete records that nothing keeps any longer, and forget unique keys that have expired.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports priorities meta moves storing
-- Flags: allow-oom
-- Arguments: now or nothing, how many; then for each state that is an end the longest time since
-- it, and the most records, -1 where there is no such limit.
-- Answers how many records went.

local now, limit = clock(ARGV[1]), tonumber(ARGV[2])
local going = {}  -- ids

local function add_all(ids)
    for _, id in ipairs(ids) do
        going[#going + 1] = id
    end
end

-- Choose, of those that ended first, what is too old or more than are kept.
local function choose(state, age, newest)
    local key, count = FINISHED[state], 0
    if newest >= 0 then
        count = redis.call('ZCARD', key) - newest
    end
    if age >= 0 then
        count = math.max(count, redis.call('ZCOUNT', key, '-inf', '(' .. digits(now - age)))
    end
    count = math.min(count, limit - #going)
    if count > 0 then
        add_all(redis.call('ZRANGE', key, 0, count - 1))
    end
end

for n, state in ipairs({COMPLETED, FAILED, CANCELLED}) do
    choose(state, tonumber(ARGV[1 + 2 * n]), tonumber(ARGV[2 + 2 * n]))
    if #going < limit then
        add_all(redis.call('ZRANGEBYSCORE', AGING[state], '-inf', digits(now), 'LIMIT', 0,
            limit - #going))
    end
end
forget_keys(now, limit)
load_placed(going)
for _, id in ipairs(going) do
    forget(runs[id])
end
write_all()
return #going
