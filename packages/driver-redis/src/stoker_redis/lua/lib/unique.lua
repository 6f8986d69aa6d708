-- Unique keys: a field of UNIQUE for each, with how long it is held, until when, and by whom. The
-- holder is empty once its record is gone: a key held for a time may outlive it. UNTIL has the keys
-- held for a time. Whether a key is held is always compared with the `now` of the operation.

local HOLD = '<Bi8'

local holds = {}  -- by key: {lasting, until, id}; false where nobody holds it
local rewritten = {}  -- the keys whose hold changed

local function load_holds(keys)
    for n, text in ipairs(read_fields(UNIQUE, keys)) do
        local key = keys[n]
        if holds[key] == nil then
            holds[key] = false
            if text then
                local lasting, ends, rest = struct.unpack(HOLD, text)
                holds[key] = {lasting, ends, string.sub(text, rest)}
            end
        end
    end
end

-- Who holds a key, which was loaded: {lasting, until, id}, or false.
local function holder(key, now)
    local hold = holds[key]
    if hold and hold[1] == FOR_A_TIME and hold[2] <= now then
        return false
    end
    return hold
end

local function take_key(run, ends)
    local key = run[KEY]
    holds[key] = {run[LASTING], ends, run[ID]}
    rewritten[key] = true
    run[HOLDS] = 1
end

-- End the hold of a job, if it still holds its key: one held for a time may be another's by now.
local function free_key(run)
    if run[HOLDS] == 0 then
        return
    end
    run[HOLDS] = 0
    local key = run[KEY]
    if run[LASTING] == FOR_A_TIME then
        load_holds({key})
        if not holds[key] or holds[key][3] ~= run[ID] then
            return
        end
    end
    holds[key] = false
    rewritten[key] = true
end

-- The record of a job goes: a key that it holds for a time is nobody's until then.
local function leave_key(run)
    if run[HOLDS] == 0 then
        return
    elseif run[LASTING] ~= FOR_A_TIME then
        free_key(run)
        return
    end
    local key = run[KEY]
    load_holds({key})
    if holds[key] and holds[key][3] == run[ID] then
        holds[key] = {FOR_A_TIME, holds[key][2], ''}
        rewritten[key] = true
    end
end

-- Forget up to `limit` keys that have expired.
local function forget_keys(now, limit)
    local keys = redis.call('ZRANGEBYSCORE', UNTIL, '-inf', digits(now), 'LIMIT', 0, limit)
    for _, key in ipairs(keys) do
        if not rewritten[key] then
            holds[key] = false
            rewritten[key] = true
        end
    end
end
