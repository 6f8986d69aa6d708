-- The workers that are alive.
-- Keys: workers expiring
-- Uses: time worker
-- Arguments: now or nothing.
-- Answers name and row of each.

local now = digits(clock(ARGV[1]))
local answer = {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', EXPIRING, '(' .. now, '+inf')) do
    answer[#answer + 1] = worker
    answer[#answer + 1] = redis.call('HGET', WORKERS, worker)
end
return answer
