-- Store jobs without unique keys, each at most once. This is what enqueue_unique.lua does with
-- them, but it is the one script that producers wait for job by job: so it has nothing that it does
-- not need.
-- Keys: meta runs jobs ids due streams work
-- Uses: time layout priorities
-- Arguments: now or nothing; then each job, as lib/enqueue.lua says.
-- Answers number, reason and id of each that was not stored.

local DUPLICATE = 1

local meta = redis.call('HMGET', META, 'paused', 'priorities')
local paused, seen = meta[1], meta[2] or ''
local now = clock(ARGV[1])

local ids = {}
for at = 2, #ARGV, 4 do
    ids[#ids + 1] = ARGV[at]
end
local existing = redis.call('HMGET', RUNS, unpack(ids))

-- Decide.
local new, known, answers = {}, {}, {}
local adds, due, jobs, places = {}, {}, {}, {}
for n, id in ipairs(ids) do
    local at = 4 * n - 2
    local run = unpacked(id, ARGV[at + 1])
    local found = existing[n]
    if known[id] or found and (run[NONCE] == ''
            or unpacked(id, found)[NONCE] ~= run[NONCE]) then
        answers[#answers + 1] = n
        answers[#answers + 1] = DUPLICATE
        answers[#answers + 1] = ''
    elseif found then
        known[id] = true  -- the same request, sent again
    else
        known[id] = true
        run[ENQUEUED_AT], run[RUN_AT] = now, now
        if ARGV[at + 3] ~= '' then
            local mode, value = struct.unpack('<Bi8', ARGV[at + 3])
            run[RUN_AT] = resolve(mode, value, now)
        end
        if run[RUN_AT] > now then
            run[STATE] = SCHEDULED
            due[#due + 1] = digits(run[RUN_AT])
            due[#due + 1] = id
        else
            run[STATE], run[READY_AT] = READY, now
            places[STREAMS[run[PRIORITY]]] = run[PRIORITY]
        end
        new[#new + 1] = run
        jobs[#jobs + 1] = id
        jobs[#jobs + 1] = ARGV[at + 2]
        adds[#adds + 1] = 0
        adds[#adds + 1] = id
    end
end
if #new == 0 then
    return answers
end

-- Look at the type of every key, before the first is written.
redis.call('HLEN', JOBS)
redis.call('ZCARD', IDS)
redis.call('XLEN', WORK)
if #due > 0 then
    redis.call('ZCARD', DUE)
end
for stream, priority in pairs(places) do
    redis.call('XLEN', stream)
    seen = with_priority(seen, priority)
end

-- Write.
local runs = {}
for _, run in ipairs(new) do
    if run[STATE] == READY then
        run[PLACE] = redis.call('XADD', STREAMS[run[PRIORITY]], '*', 'id', run[ID])
    end
    runs[#runs + 1] = run[ID]
    runs[#runs + 1] = packed(run)
end
redis.call('HSET', RUNS, unpack(runs))
redis.call('HSET', JOBS, unpack(jobs))
redis.call('ZADD', IDS, unpack(adds))
if #due > 0 then
    redis.call('ZADD', DUE, unpack(due))
end
if seen ~= meta[2] then
    redis.call('HSET', META, 'priorities', seen)
end
if not paused then
    redis.call('XADD', WORK, 'MAXLEN', 1, '*', 'hint', '')
end
return answers
