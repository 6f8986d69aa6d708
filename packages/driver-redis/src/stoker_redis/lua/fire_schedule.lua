-- Fire the tick that is due: compare the version, advance the schedule, and store jobs.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work schedules
-- Uses: time layout run writes unique reports priorities meta moves storing enqueue schedule
-- Arguments: now or nothing, the name, the version expected, the tick after, nothing for none; then
-- each job, as lib/enqueue.lua says.
-- Answers a status, now, the row, and number, reason and id of each job that was not stored.

local FIRED, NOT_DUE, CONFLICT_OF_VERSIONS, GONE = 0, 1, 2, 3

local now, name = clock(ARGV[1]), ARGV[2]
local row = redis.call('HGET', SCHEDULES, name)
if not row then
    return {GONE, now, '', {}}
end
local tick, _, count, version, at = struct.unpack(ROW, row)
if version ~= tonumber(ARGV[3]) then
    return {CONFLICT_OF_VERSIONS, now, row, {}}
elseif tick == NONE or tick > now then
    return {NOT_DUE, now, row, {}}
end
load_meta()
version = next_version()
row = struct.pack(ROW, tonumber(ARGV[4]) or NONE, tick, count + 1, version) .. string.sub(row, at)
local answers = store(5, now)
write('HSET', META, 'version', digits(version))
write('HSET', SCHEDULES, name, row)
write_all()
return {FIRED, now, row, answers}
