-- The one place where jobs are stored: each leaves where it was and enters where its state says.

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
        else
            write('ZREM', (own_age(run, was) and AGING or FINISHED)[was], id)
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
        local age = own_age(run, state)
        if age then
            write('ZADD', AGING[state], digits(run[FINISHED_AT] + age), id)
        else
            write('ZADD', FINISHED[state], digits(run[FINISHED_AT]), id)
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

-- Tell those who wait. Only the last entry counts; the server may keep some hundred, since to delete
-- exactly takes longer than all else that is done for it.
local function hint(stream)
    redis.call('XADD', stream, 'MAXLEN', '~', 1, '*', 'hint', '')
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
    check_types()
    write_runs()
    run_plan()
    if wakes_workers then
        hint(WORK)
    end
end
