-- What a queue remembers of itself: META.

local paused, seen  -- `seen`: the priorities, as lib/priorities.lua has them

local function load_meta()
    local found = redis.call('HMGET', META, 'paused', 'priorities')
    paused, seen = found[1], found[2] or ''
end

-- Note that there are jobs of a priority.
local function see(priority)
    local all = with_priority(seen, priority)
    if all ~= seen then
        seen = all
        write('HSET', META, 'priorities', seen)
    end
end
