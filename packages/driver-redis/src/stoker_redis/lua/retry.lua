-- Let failed and cancelled jobs begin anew, at the end of their priority.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports priorities meta moves storing
-- Flags: allow-oom
-- Arguments: now or nothing, ids.
-- Answers for each the state that it was in, -1 where there is no record; text instead, the id of
-- the holder or nothing, where another job holds its unique key.

local now = clock(ARGV[1])

-- Forget how a job went, but for its errors, its logs and its last lease.
local function begin_anew(run)
    if run[HAS_PROGRESS] == 1 then
        write('HDEL', REPORTS, 'p:' .. run[ID])
    end
    run[HAS_PROGRESS] = 0
    run[ATTEMPT], run[CRASHES], run[SNOOZES] = 0, 0, 0
    run[SETTLED_AS], run[SETTLED_TO] = 0, 0
    run[PARKED_SINCE], run[FINISHED_AT] = NONE, NONE
    forget_reason(run)
    pend(run, now, now)
end

local function retry(run)
    if not run then
        return -1
    end
    local was = run[STATE]
    if was ~= FAILED and was ~= CANCELLED then
        return was
    end
    if run[LASTING] == FINISH or run[LASTING] == START then
        local hold = holder(run[KEY], now)
        if hold then
            return hold[3]
        end
        take_key(run, NONE)
    end
    begin_anew(run)
    return was
end

local ids, keys = {unpack(ARGV, 2)}, {}
load_meta()
load(ids)
for _, id in ipairs(ids) do
    if runs[id] and runs[id][KEY] ~= '' then
        keys[#keys + 1] = runs[id][KEY]
    end
end
load_holds(keys)
local answers = {}
for n, id in ipairs(ids) do
    answers[n] = retry(runs[id])
end
write_all()
return answers
