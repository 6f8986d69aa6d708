-- How full a queue is. Every place knows its size, so nothing is counted.
-- Keys: meta runs due streams leases finished aging
-- Uses: time layout run meta
-- Arguments: now or nothing.
-- Answers the number of jobs in each state, for how long one has been ready, -1 for none, and
-- whether the queue is paused.

local now = clock(ARGV[1])
load_meta()
local ready, first = 0, {}
for digit in string.gmatch(seen, '%d') do
    local stream = STREAMS[tonumber(digit)]
    ready = ready + redis.call('XLEN', stream)
    local entry = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    if entry then
        first[#first + 1] = entry[2][2]
    end
end
load_placed(first)
local oldest = -1
for _, id in ipairs(first) do
    oldest = math.max(oldest, now - runs[id][READY_AT], 0)
end
local answer = {redis.call('ZCARD', DUE), ready, redis.call('ZCARD', LEASES)}
for state = COMPLETED, CANCELLED do
    answer[#answer + 1] = redis.call('ZCARD', FINISHED[state]) + redis.call('ZCARD', AGING[state])
end
answer[#answer + 1] = oldest
answer[#answer + 1] = paused and 1 or 0
return answer
