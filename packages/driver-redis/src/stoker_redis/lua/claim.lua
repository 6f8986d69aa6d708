-- Take ready jobs, those of a higher priority first. Entries leave their streams in this very
-- script, so whether a job runs is known from its lease alone. Every job passes here: so it has
-- nothing that it does not need.
-- Keys: meta runs jobs due streams leases unique
-- Uses: time layout due
-- Flags: allow-oom
-- Arguments: now or nothing, the length of a lease, the worker, how many, and how many bytes of
-- jobs.
-- Answers the time until the next scheduled job is due, -1 for none; then id, run and job of each.

local length, left, room = tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local tail = '\0' .. ARGV[3] .. '\0'  -- no place, and the worker

local meta = redis.call('HMGET', META, 'paused', 'epoch', 'priorities')
local paused, seen = meta[1], meta[3] or ''
local now = clock(ARGV[1])
-- An epoch is a number, not a time. It follows the server's clock, so that it does not come twice
-- when the server has lost the last that it issued.
local server_now = ARGV[1] == '' and now or server_time()
local epoch = math.max(tonumber(meta[2]) or 0, server_now - 1)
local times = struct.pack('<i8i8', now, now + length)

local ids, runs, leases = {}, {}, {}
local last, freed = {}, {}  -- the last entry taken, by stream; unique keys

-- Take a job; answer its run as it is from now on.
local function started(id, text)
    local holds, tail_at, attempt = struct.unpack('<xxxBI2I4', text)
    if holds == 1 and string.byte(text, FLAGS_START) == START then
        holds = 0
        freed[#freed + 1] = unpacked(id, text)[KEY]
    end
    epoch = epoch + 1
    return struct.pack('<BBBBI2I4i8', RUNNING, 0, 0, holds, tail_at, attempt + 1, epoch) .. times
        .. string.sub(text, END_START, tail_at - 1) .. tail
end

-- Take as many jobs of a stream as there is room for.
local function take(stream)
    local found, names = redis.call('XRANGE', stream, '-', '+', 'COUNT', left), {}
    if #found == 0 then
        return
    end
    for n, entry in ipairs(found) do
        names[n] = entry[2][2]
    end
    for n, text in ipairs(redis.call('HMGET', RUNS, unpack(names))) do
        local id = names[n]
        room = room - struct.unpack('<I4', text or lost(id), SIZE_START)
        if room < 0 and #ids > 0 then
            left = 0
            break
        end
        ids[#ids + 1] = id
        runs[#runs + 1] = id
        runs[#runs + 1] = started(id, text)
        last[stream] = found[n][1]
        left = left - 1
    end
end

if not paused then
    for digit in string.gmatch(seen, '%d') do
        if left > 0 then
            take(STREAMS[tonumber(digit)])
        end
    end
end
local answer = {due_in(now)}
if #ids == 0 then
    return answer
end
local jobs = redis.call('HMGET', JOBS, unpack(ids))
local expires_at = digits(now + length)
for n, id in ipairs(ids) do
    leases[2 * n - 1], leases[2 * n] = expires_at, id
    answer[3 * n - 1], answer[3 * n], answer[3 * n + 1] = id, runs[2 * n], jobs[n]
end

-- The types of the other keys are known from what was read.
redis.call('ZCARD', LEASES)
if #freed > 0 then
    redis.call('HLEN', UNIQUE)
end

for stream, entry in pairs(last) do
    -- All up to the last one were taken. To trim takes a tenth of the time of deleting them by name.
    local time, number = string.match(entry, '(%d+)-(%d+)')
    redis.call('XTRIM', stream, 'MINID', time .. '-' .. number + 1)
end
redis.call('ZADD', LEASES, unpack(leases))
redis.call('HSET', RUNS, unpack(runs))
redis.call('HSET', META, 'epoch', digits(epoch))
if #freed > 0 then
    redis.call('HDEL', UNIQUE, unpack(freed))
end
return answer
