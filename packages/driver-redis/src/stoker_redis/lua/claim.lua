-- Take ready jobs, those of a higher priority first. Entries leave their streams in this very
-- script, so whether a job runs is known from its lease alone.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports priorities meta moves storing due
-- Flags: allow-oom
-- Arguments: now or nothing, the length of a lease, the worker, how many, and how many bytes of
-- jobs.
-- Answers the time until the next scheduled job is due, -1 for none; then id, run and job of each.

local length, worker, left = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local room = tonumber(ARGV[5])
local taken = {}  -- ids

-- Take as many jobs of one priority as there is room for.
local function take(priority, now)
    local ids = {}
    for n, entry in ipairs(redis.call('XRANGE', STREAMS[priority], '-', '+', 'COUNT', left)) do
        ids[n] = entry[2][2]
    end
    load_placed(ids)
    for _, id in ipairs(ids) do
        local run = runs[id]
        room = room - run[SIZE]
        if room < 0 and #taken > 0 then
            left = 0
            return
        end
        change(run)
        last_epoch = last_epoch + 1
        run[STATE], run[EPOCH], run[ATTEMPT] = RUNNING, last_epoch, run[ATTEMPT] + 1
        run[WORKER], run[CLAIMED_AT], run[EXPIRES_AT] = worker, now, now + length
        run[SETTLED_AS], run[SETTLED_TO] = 0, 0
        if run[LASTING] == START then
            free_key(run)
        end
        taken[#taken + 1] = id
        left = left - 1
    end
end

load_meta()
local now = clock(ARGV[1])
if not paused and left > 0 and seen ~= '' then
    -- An epoch is a number, not a time. It follows the server's clock, so that it does not come
    -- twice when the server has lost the last that it issued.
    last_epoch = math.max(last_epoch, server_time() - 1)
    for digit in string.gmatch(seen, '%d') do
        if left > 0 then
            take(tonumber(digit), now)
        end
    end
end
local answer = {due_in(now)}
if #taken > 0 then
    local jobs = read_fields(JOBS, taken)
    write('HSET', META, 'epoch', digits(last_epoch))
    write_all()
    for n, id in ipairs(taken) do
        answer[#answer + 1] = id
        answer[#answer + 1] = runs[id][TEXT]
        answer[#answer + 1] = jobs[n]
    end
end
return answer
