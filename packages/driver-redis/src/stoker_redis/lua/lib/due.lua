-- The time until the next scheduled job is due: 0 while one waits for a promote, -1 for none.
local function due_in(now)
    local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
    return first[2] and math.max(0, tonumber(first[2]) - now) or -1
end
