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

-- Whether a job with this id is this very request, sent again.
local function is_resent(id, found, text)
    local nonce = unpacked(id, text)[NONCE]
    return nonce ~= '' and nonce == unpacked(id, found)[NONCE]
end

-- Decide.
local new, known, answers = {}, {}, {}
local adds, due, jobs, places = {}, {}, {}, {}
for n, id in ipairs(ids) do
    local at = 4 * n - 2
    local text, found = ARGV[at + 1], existing[n]
    if known[id] or found and not is_resent(id, found, text) then
        answers[#answers + 1] = n
        answers[#answers + 1] = DUPLICATE
        answers[#answers + 1] = ''
    elseif found then
        known[id] = true  -- the same request, sent again
    else
        known[id] = true
        local run_at, stream = now, nil
        if ARGV[at + 3] ~= '' then
            local mode, value = struct.unpack('<Bi8', ARGV[at + 3])
            run_at = resolve(mode, value, now)
        end
        if run_at > now then
            due[#due + 1] = digits(run_at)
            due[#due + 1] = id
        else
            local priority = string.byte(text, PRIORITY_START)
            stream = STREAMS[priority]
            places[stream] = priority
        end
        new[#new + 1] = {id, text, run_at, stream}
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

-- Write. A new run has no place and no worker: two zeros at its end.
local runs = {}
for n, job in ipairs(new) do
    local id, text, run_at, stream = job[1], job[2], job[3], job[4]
    local state, ready_at, place = SCHEDULED, NONE, ''
    if stream then
        state, ready_at, place = READY, now, redis.call('XADD', stream, '*', 'id', id)
    end
    runs[2 * n - 1] = id
    runs[2 * n] = string.char(state) .. string.sub(text, 2, TIMES_START - 1)
        .. struct.pack('<i8i8i8', now, run_at, ready_at) .. string.sub(text, KEEP_START, -3)
        .. place .. '\0\0'
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
    redis.call('XADD', WORK, 'MAXLEN', '~', 1, '*', 'hint', '')
end
return answers
