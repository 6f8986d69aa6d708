-- The priorities that jobs of a queue had, as digits from high to low: a claim looks at no other
-- streams.
local function with_priority(seen, priority)
    local digit = tostring(priority)
    if string.find(seen, digit, 1, true) then
        return seen
    end
    local all = {digit}
    for other in string.gmatch(seen, '%d') do
        all[#all + 1] = other
    end
    table.sort(all, function(one, other) return one > other end)
    return table.concat(all)
end
