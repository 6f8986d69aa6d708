-- Make due jobs ready.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports priorities meta moves storing due
-- Flags: allow-oom
-- Arguments: now or nothing, how many.
-- Answers how many became ready, and the time until the next one is due, -1 for none.

local now = clock(ARGV[1])
load_meta()
local ids = redis.call('ZRANGEBYSCORE', DUE, '-inf', digits(now), 'LIMIT', 0, tonumber(ARGV[2]))
load_placed(ids)
for _, id in ipairs(ids) do
    pend(runs[id], runs[id][RUN_AT], now)
end
write_all()
return {#ids, due_in(now)}
