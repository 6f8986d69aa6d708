-- Store jobs without unique keys, each at most once. This is what enqueue_unique.lua does with
-- them, but it is the one script that producers wait for job by job: so it has nothing that it does
-- not need.
-- Keys: meta runs jobs ids due work
-- Uses: time layout priorities
-- Further keys: the stream of each of the priorities, and no other: each key costs.
-- Arguments: now or nothing; the priorities of these jobs, as digits; then each job, as
-- lib/enqueue.lua says.
-- Answers number, reason and id of each that was not stored.

local DUPLICATE = 1

local STREAMS = {}
for n = 1, #ARGV[2] do
    STREAMS[tonumber(string.sub(ARGV[2], n, n))] = KEYS[6 + n]
end

local meta = redis.call('HMGET', META, 'paused', 'priorities')
local paused, seen = meta[1], meta[2] or ''
local now = clock(ARGV[1])

local ids = {}
for at = 3, #ARGV, 4 do
    ids[#ids + 1] = ARGV[at]
end
local existing = redis.call('HMGET', RUNS, unpack(ids))

-- Whether a job with this id is this very request, sent again.
local function is_resent(id, found, text)
    local nonce = unpacked(id, text)[NONCE]
    return nonce ~= '' and nonce == unpacked(id, found)[NONCE]
end

-- Decide.
local at_once = struct.pack('<i8i8i8', now, now, now)
local known, answers, count = {}, {}, 0
local texts, times, streams, places = {}, {}, {}, {}  -- of each that is new; by stream
local adds, due, jobs = {}, {}, {}
for n, id in ipairs(ids) do
    local at = 4 * n - 1
    local text, found, plan = ARGV[at + 1], existing[n], ARGV[at + 3]
    if known[id] or found and not is_resent(id, found, text) then
        answers[#answers + 1] = n
        answers[#answers + 1] = DUPLICATE
        answers[#answers + 1] = ''
    elseif found then
        known[id] = true  -- the same request, sent again
    else
        known[id] = true
        count = count + 1
        local run_at = now
        if plan ~= '' then
            local mode, value = struct.unpack('<Bi8', plan)
            run_at = resolve(mode, value, now)
        end
        if run_at > now then
            due[#due + 1] = digits(run_at)
            due[#due + 1] = id
            times[count], streams[count] = struct.pack('<i8i8i8', now, run_at, NONE), false
        else
            local priority = string.byte(text, PRIORITY_START)
            local stream = STREAMS[priority]
            places[stream] = priority
            times[count], streams[count] = at_once, stream
        end
        texts[count] = text
        jobs[2 * count - 1], jobs[2 * count] = id, ARGV[at + 2]
        adds[2 * count - 1], adds[2 * count] = 0, id
    end
end
if count == 0 then
    return answers
end

-- Look at the type of every key but one, before that is written first: a hint does no harm.
redis.call('HLEN', JOBS)
redis.call('ZCARD', IDS)
if #due > 0 then
    redis.call('ZCARD', DUE)
end
for stream, priority in pairs(places) do
    redis.call('XLEN', stream)
    seen = with_priority(seen, priority)
end

-- Write. A new run has no place and no worker, two zeros at its end, until it has entered a stream.
if not paused then
    redis.call('XADD', WORK, 'MAXLEN', '~', 1, '*', 'hint', '')
end
local scheduled, ready, runs = string.char(SCHEDULED), string.char(READY), {}
for n = 1, count do
    local id, text, stream = jobs[2 * n - 1], texts[n], streams[n]
    local state, place = scheduled, ''
    if stream then
        state, place = ready, redis.call('XADD', stream, '*', 'id', id)
    end
    runs[2 * n - 1] = id
    runs[2 * n] = state .. string.sub(text, 2, TIMES_START - 1) .. times[n]
        .. string.sub(text, KEEP_START, -3) .. place .. '\0\0'
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
return answers
