-- The moves of jobs from state to state, and the one place where they are stored.

local wakes_workers, wakes_running = false, false

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

-- Whether the queue's retention decides how long the record of an ended job is kept; else, for how
-- long the job itself wants it.
local function kept_by(run, state)
    local keep = run[KEEP_COMPLETED + state - COMPLETED]
    return keep < 0, keep
end

-- Let a job end; its record goes at once if nothing keeps it.
local function finish(run, state, now)
    change(run)
    run[STATE], run[FINISHED_AT], run[ENTERS] = state, now, false
    if run[LASTING] ~= FOR_A_TIME then
        free_key(run)
    end
    local by_queue, keep = kept_by(run, state)
    if not by_queue and keep == 0 then
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

-- Plan that a job leaves where it was.
local function leave(run)
    local was, id = run[WAS], run[ID]
    if was == READY then
        if run[STATE] ~= READY or run[ENTERS] or run[DELETED] then
            write('XDEL', STREAMS[run[PRIORITY]], run[OLD_PLACE])
        end
    elseif was and (was ~= run[STATE] or run[DELETED]) then
        if was == SCHEDULED then
            write('ZREM', DUE, id)
        elseif was == RUNNING then
            write('ZREM', LEASES, id)
        elseif kept_by(run, was) then
            write('ZREM', FINISHED[was], id)
        else
            write('ZREM', AGING[was], id)
        end
    end
end

-- Plan that a job is where its state says.
local function enter(run)
    local state, id = run[STATE], run[ID]
    if state == READY then
        if run[ENTERS] then
            see(run[PRIORITY])
            streams[STREAMS[run[PRIORITY]]] = true
        end
        return
    end
    run[PLACE] = ''
    if state == SCHEDULED then
        write('ZADD', DUE, digits(run[RUN_AT]), id)
    elseif state == RUNNING then
        write('ZADD', LEASES, digits(run[EXPIRES_AT]), id)
    elseif state ~= run[WAS] then
        local by_queue, keep = kept_by(run, state)
        if by_queue then
            write('ZADD', FINISHED[state], digits(run[FINISHED_AT]), id)
        else
            write('ZADD', AGING[state], digits(run[FINISHED_AT] + keep), id)
        end
    end
end

local function erase(run)
    local id = run[ID]
    write('HDEL', RUNS, id)
    write('HDEL', JOBS, id)
    write('ZREM', IDS, id)
    for _, field in ipairs(report_fields(run)) do
        write('HDEL', REPORTS, field)
    end
end

local function write_holds()
    for key in pairs(rewritten) do
        local hold = holds[key]
        if hold then
            write('HSET', UNIQUE, key, struct.pack(HOLD, hold[1], hold[2]) .. hold[3])
        else
            write('HDEL', UNIQUE, key)
        end
        if hold and hold[1] == FOR_A_TIME then
            write('ZADD', UNTIL, digits(hold[2]), key)
        else
            write('ZREM', UNTIL, key)
        end
    end
end

local function write_runs()
    for _, run in ipairs(changed) do
        if not run[DELETED] then
            if run[ENTERS] then
                run[PLACE] = redis.call('XADD', STREAMS[run[PRIORITY]], '*', 'id', run[ID])
            end
            run[TEXT] = packed(run)
            write('HSET', RUNS, run[ID], run[TEXT])
        end
    end
end

local function hint(stream)
    redis.call('XADD', stream, 'MAXLEN', 1, '*', 'hint', '')
end

-- Store what has changed, after everything was read.
local function write_all()
    for _, run in ipairs(changed) do
        leave(run)
        if run[DELETED] then
            erase(run)
        else
            enter(run)
        end
    end
    write_holds()
    wakes_workers = wakes_workers and not paused
    if wakes_workers then
        streams[WORK] = true
    end
    if wakes_running then
        streams[CANCEL] = true
    end
    check_types()
    write_runs()
    run_plan()
    if wakes_workers then
        hint(WORK)
    end
    if wakes_running then
        hint(CANCEL)
    end
end
