-- What a queue remembers of itself: META.

local paused, last_epoch, seen  -- `seen`: the priorities that jobs had, as digits from high to low

local function load_meta()
    local found = redis.call('HMGET', META, 'paused', 'epoch', 'priorities')
    paused, last_epoch, seen = found[1], tonumber(found[2]) or 0, found[3] or ''
end

-- Note that there are jobs of a priority: a claim looks at no other streams.
local function see(priority)
    local digit = tostring(priority)
    if string.find(seen, digit, 1, true) then
        return
    end
    local all = {digit}
    for other in string.gmatch(seen, '%d') do
        all[#all + 1] = other
    end
    table.sort(all, function(one, other) return one > other end)
    seen = table.concat(all)
    write('HSET', META, 'priorities', seen)
end
