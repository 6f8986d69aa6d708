-- The moves of jobs from state to state. They change what the script has of a job;
-- lib/storing.lua writes it down.

local wakes_workers = false  -- whether there may be work now, or something earlier to wait for

-- Let a job wait until `run_at`: ready at once when that has come, else scheduled.
local function pend(run, run_at, now)
    change(run)
    wakes_workers = true
    run[RUN_AT] = run_at
    run[ENTERS] = run_at <= now
    if run[ENTERS] then
        run[STATE], run[READY_AT] = READY, now
    else
        run[STATE] = SCHEDULED
    end
end

-- Move a pending job; a ready one that stays ready keeps its place.
local function reschedule(run, mode, value, now)
    local run_at = resolve(mode, value, now)
    if run[STATE] == READY and run_at <= now then
        change(run)
        run[RUN_AT] = run_at
    else
        pend(run, run_at, now)
    end
end

-- Delete the record of a job; a key that it holds for a time stays held.
local function forget(run)
    change(run)
    leave_key(run)
    run[DELETED] = true
end

-- For how long a job wants its record kept after it ended in a state; nil if the queue's retention
-- is to decide.
local function own_age(run, state)
    local age = run[KEEP_COMPLETED + state - COMPLETED]
    return age >= 0 and age or nil
end

-- Let a job end; its record goes at once if nothing keeps it.
local function finish(run, state, now)
    change(run)
    run[STATE], run[FINISHED_AT], run[ENTERS] = state, now, false
    if run[LASTING] ~= FOR_A_TIME then
        free_key(run)
    end
    if own_age(run, state) == 0 then
        forget(run)
    end
end

local function ask_to_cancel(run, reason)
    change(run)
    run[HAS_REASON], run[REASON] = 1, reason
end

local function forget_reason(run)
    run[HAS_REASON], run[REASON] = 0, ''
end
