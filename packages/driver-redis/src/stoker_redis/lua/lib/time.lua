-- Time, in whole microseconds since 1970. They are exact in Lua's numbers up to the year 2255, and
-- become text only by `digits`: tostring would round them.

local NOW, AFTER, AT = 0, 1, 2

local last_number, last_digits  -- most are the same

local function digits(number)
    if number ~= last_number then
        last_number, last_digits = number, string.format('%.0f', number)
    end
    return last_digits
end

local function server_time()
    local found = redis.call('TIME')
    return tonumber(found[1]) * 1000000 + tonumber(found[2])
end

-- The time of an operation: the one that it was given, or the server's.
local function clock(given)
    return tonumber(given) or server_time()
end

-- When a time in a request is: at once, so long after now, or at a time that is not past.
local function resolve(mode, value, now)
    if mode == AFTER then
        return now + value
    elseif mode == AT and value > now then
        return value
    end
    return now
end
