-- The schedules of a queue.
-- Keys: schedules
-- Uses: time
-- Arguments: now or nothing.
-- Answers now, then name and row of each.

local answer = {clock(ARGV[1])}
for _, item in ipairs(redis.call('HGETALL', SCHEDULES)) do
    answer[#answer + 1] = item
end
return answer
