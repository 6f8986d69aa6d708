-- End leases, each with its outcome.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports reporting priorities meta moves storing
-- Flags: allow-oom
-- Arguments: now or nothing; a head for each settlement, packed one after the other: its epoch, its
-- kind, whether an outcome has a body (result, error or reason), a progress is reported, the job is
-- parked, when (as `resolve` takes it), and how many logs there are; then the id of each; then for
-- each its body, its progress, its logs, as far as they are there.
-- Answers for each what became of it (APPLIED and so on) times 10, and the state it led to.

local HEAD, HEAD_SIZE = '<i8BBBBBi8B', 22
local COMPLETE, RETRY, FAIL, RELEASE, SNOOZE, ABANDON = 1, 2, 3, 4, 5, 6
local APPLIED, ALREADY, STALE, GONE = 10, 20, 30, 40

local now = clock(ARGV[1])
local count = #ARGV[2] / HEAD_SIZE
local ids = {unpack(ARGV, 3, 2 + count)}
local texts = {}  -- the runs, by id, as they were read or are to be written

-- Let a job wait for another run, unless its cancel was requested during this one.
local function come_back(run, item, now)
    if run[HAS_REASON] == 1 then
        finish(run, CANCELLED, now)
    else
        pend(run, resolve(item.mode, item.value, now), now)
    end
end

-- Move a job to where its outcome leads.
local function move(run, item, now)
    local kind = item.kind
    local parked_since = run[PARKED_SINCE]
    run[PARKED_SINCE] = NONE
    if kind == COMPLETE then
        forget_reason(run)
        finish(run, COMPLETED, now)
    elseif kind == FAIL then
        forget_reason(run)
        finish(run, FAILED, now)
    elseif kind == ABANDON then
        ask_to_cancel(run, item.body)
        finish(run, CANCELLED, now)
    elseif kind == RETRY then
        if run[ATTEMPT] >= run[MAX_ATTEMPTS] and run[HAS_REASON] == 0 then
            finish(run, FAILED, now)
        else
            come_back(run, item, now)
        end
    else
        run[ATTEMPT] = run[ATTEMPT] - 1
        if kind == SNOOZE then
            run[SNOOZES] = run[SNOOZES] + 1
        elseif item.parks then
            run[PARKED_SINCE] = parked_since == NONE and now or parked_since
        end
        come_back(run, item, now)
    end
end

-- Keep what a run reports, if there is a record to keep it with.
local function report(run, item)
    if run[DELETED] then
        return
    end
    if item.body then
        if item.kind == COMPLETE then
            keep_result(run, item.body)
        elseif item.kind ~= ABANDON then
            keep_error(run, item.body)
        end
    end
    if item.progress then
        keep_progress(run, item.progress)
    end
    for n = item.first_log, item.last_log do
        keep_log(run, ARGV[n])
    end
end

-- What a plain completion puts into a run.
local steps, times = string.char(COMPLETED, COMPLETE, COMPLETED), struct.pack('<i8i8', now, NONE)

-- Complete a job to which nothing else happened, as most are, without unpacking its run. Answer
-- nothing for others.
local function complete(id, text, token, result)
    local state, holds, epoch = struct.unpack('<BxxBxxxxxxi8', text)
    if state ~= RUNNING or epoch ~= token or holds == 1 then
        return nil
    end
    local has_progress, has_reason = string.byte(text, FLAGS_START + 3, FLAGS_START + 4)
    local errors, logs = struct.unpack('<I4I4', text, COUNTS_START)
    if has_progress + has_reason + errors + logs > 0 then
        return nil
    end
    local age = struct.unpack('<i8', text, KEEP_START)
    write('ZREM', LEASES, id)
    if age == 0 then
        write('HDEL', RUNS, id)
        write('HDEL', JOBS, id)
        write('ZREM', IDS, id)
        texts[id] = false
        return APPLIED + COMPLETED
    end
    if age < 0 then
        write('ZADD', FINISHED[COMPLETED], digits(now), id)
    else
        write('ZADD', AGING[COMPLETED], digits(now + age), id)
    end
    if result then
        write('HSET', REPORTS, 'r:' .. id, result)
    end
    text = steps .. string.sub(text, 4, CLAIM_END) .. times
        .. string.sub(text, FLAGS_START, FLAGS_START + 1) .. (result and '\1' or '\0')
        .. string.sub(text, FLAGS_START + 3)
    write('HSET', RUNS, id, text)
    texts[id] = text
    return APPLIED + COMPLETED
end

local function settle(item)
    local run = have(item.id, texts[item.id])
    if not run or run[DELETED] then
        return GONE
    elseif run[EPOCH] ~= item.epoch then
        return STALE
    elseif run[STATE] ~= RUNNING then
        return run[SETTLED_AS] == item.kind and ALREADY + run[SETTLED_TO] or STALE
    end
    change(run)
    move(run, item, now)
    report(run, item)
    run[SETTLED_AS], run[SETTLED_TO] = item.kind, run[STATE]
    return APPLIED + run[STATE]
end

load_meta()
for n, text in ipairs(read_fields(RUNS, ids)) do
    texts[ids[n]] = text
end
local answers = {}
local at = 3 + count
for n, id in ipairs(ids) do
    local epoch, kind, has_body, has_progress, parks, mode, value, logs =
        struct.unpack(HEAD, ARGV[2], (n - 1) * HEAD_SIZE + 1)
    local body, text = has_body == 1 and ARGV[at], texts[id]
    local progress_at = at + has_body
    local logs_at = progress_at + has_progress
    at = logs_at + logs
    if kind == COMPLETE and at == progress_at and text and not runs[id] then
        answers[n] = complete(id, text, epoch, body)
    end
    answers[n] = answers[n] or settle({
        id = id, epoch = epoch, kind = kind, parks = parks == 1, mode = mode, value = value,
        body = body, progress = has_progress == 1 and ARGV[progress_at],
        first_log = logs_at, last_log = at - 1,
    })
end
write_all()
return answers
