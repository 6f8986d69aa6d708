-- Create a schedule, or replace one that has another definition.
-- Keys: meta schedules
-- Uses: time layout schedule
-- Arguments: now or nothing, the name, the definition, when the next tick is (as `resolve` takes
-- it, but for a past one, which stays as it is).
-- Answers now, and the row.

local now, name, definition = clock(ARGV[1]), ARGV[2], ARGV[3]
local mode, value = tonumber(ARGV[4]), tonumber(ARGV[5])
local row = redis.call('HGET', SCHEDULES, name)
local last_at, count = NONE, 0
if row then
    local _, last, fired, _, at = struct.unpack(ROW, row)
    if string.sub(row, at) == definition then
        return {now, row}
    end
    last_at, count = last, fired
end
local next_at = mode == AT and value or resolve(mode, value, now)
local version = next_version()
row = struct.pack(ROW, next_at, last_at, count, version) .. definition
redis.call('HSET', META, 'version', digits(version))
redis.call('HSET', SCHEDULES, name, row)
return {now, row}
