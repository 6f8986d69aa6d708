-- Move the expiry of leases, and keep what their runs report.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports reporting priorities meta moves storing
-- Flags: allow-oom
-- Arguments: now or nothing; the length of a lease; a head for each, packed one after the other:
-- its epoch, whether a progress is reported, and how many logs; then for each its id, its progress,
-- its logs, as far as they are there.
-- Answers for each EXTENDED, STALE or GONE, or the reason of a cancel that was requested.

local HEAD, HEAD_SIZE = '<i8BB', 10
local EXTENDED, STALE, GONE = 0, 1, 2

local now, length = clock(ARGV[1]), tonumber(ARGV[2])
local items, ids = {}, {}
local at = 4
for first = 1, #ARGV[3], HEAD_SIZE do
    local epoch, has_progress, logs = struct.unpack(HEAD, ARGV[3], first)
    local item = {id = ARGV[at], epoch = epoch, has_progress = has_progress == 1, at = at + 1}
    item.last_log = at + has_progress + logs
    at = item.last_log + 1
    items[#items + 1] = item
    ids[#ids + 1] = item.id
end

local function extend(item)
    local run = runs[item.id]
    if not run then
        return GONE
    elseif run[STATE] ~= RUNNING or run[EPOCH] ~= item.epoch then
        return STALE
    end
    change(run)
    run[EXPIRES_AT] = now + length
    local first_log = item.at
    if item.has_progress then
        keep_progress(run, ARGV[item.at])
        first_log = first_log + 1
    end
    for n = first_log, item.last_log do
        keep_log(run, ARGV[n])
    end
    return run[HAS_REASON] == 1 and run[REASON] or EXTENDED
end

load(ids)
local answers = {}
for n, item in ipairs(items) do
    answers[n] = extend(item)
end
write_all()
return answers
