-- End expired leases.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports reporting priorities meta moves storing
-- Flags: allow-oom
-- Arguments: now or nothing, how many, how many bytes of jobs, the delay, the error.
-- Answers id, run and job of each as the lease ended, and the state that it led to.

local now, room, delay, text = clock(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local answer = {}

local function end_lease(run)
    change(run)
    run[CRASHES] = run[CRASHES] + 1
    local as_it_ended = packed(run)
    run[ATTEMPT] = run[ATTEMPT] - 1
    run[SETTLED_AS], run[SETTLED_TO] = 0, 0
    if run[CRASHES] > run[MAX_CRASHES] then
        forget_reason(run)
        finish(run, FAILED, now)
    elseif run[HAS_REASON] == 1 then
        finish(run, CANCELLED, now)
    else
        pend(run, now + delay, now)
    end
    if not run[DELETED] then
        keep_error(run, text)
    end
    return as_it_ended
end

load_meta()
local expired =
    redis.call('ZRANGEBYSCORE', LEASES, '-inf', digits(now), 'LIMIT', 0, tonumber(ARGV[2]))
load_placed(expired)
local ids = {}
for n, id in ipairs(expired) do
    room = room - runs[id][SIZE]
    if room < 0 and n > 1 then
        break
    end
    ids[n] = id
end
local jobs = read_fields(JOBS, ids)
for n, id in ipairs(ids) do
    answer[#answer + 1] = id
    answer[#answer + 1] = end_lease(runs[id])
    answer[#answer + 1] = jobs[n]
    answer[#answer + 1] = runs[id][STATE]
end
write_all()
return answer
