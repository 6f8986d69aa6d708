-- What a script is going to write. Nothing is written before everything was read and decided, and
-- the type of every key was looked at: a script that fails in the middle would not be undone.

-- In this order: what is deleted may be there anew by what is set.
local COMMANDS = {'XDEL', 'HDEL', 'ZREM', 'HSET', 'ZADD'}
local SIZES = {XDEL = 'XLEN', HDEL = 'HLEN', ZREM = 'ZCARD', HSET = 'HLEN', ZADD = 'ZCARD'}

local plan = {XDEL = {}, HDEL = {}, ZREM = {}, HSET = {}, ZADD = {}}
local streams = {}  -- the streams that entries are added to

-- Plan a command; those with one name and key become one that has all the values.
local function write(command, key, first, second)
    local values = plan[command][key]
    if not values then
        values = {}
        plan[command][key] = values
    end
    local n = #values
    values[n + 1] = first
    values[n + 2] = second
end

-- Raise WRONGTYPE if a key that is to be written holds something else.
local function check_types()
    local known = {}
    for _, command in ipairs(COMMANDS) do
        for key in pairs(plan[command]) do
            if not known[key] then
                redis.call(SIZES[command], key)
                known[key] = true
            end
        end
    end
    for key in pairs(streams) do
        if not known[key] then
            redis.call('XLEN', key)
        end
    end
end

local function run_plan()
    for _, command in ipairs(COMMANDS) do
        for key, values in pairs(plan[command]) do
            for first = 1, #values, MOST do
                local last = math.min(first + MOST - 1, #values)
                redis.call(command, key, unpack(values, first, last))
            end
        end
    end
end
