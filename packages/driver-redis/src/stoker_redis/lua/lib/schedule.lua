-- Recurring jobs: a field of SCHEDULES for each, with the next tick, the last one fired, how many
-- were fired, the version, and then the definition.

local ROW = '<i8i8i8i8'

-- A version that no schedule of the queue has had, also if the server has lost the last ones.
local function next_version()
    local last = tonumber(redis.call('HGET', META, 'version')) or 0
    return math.max(last + 1, server_time())
end
