-- The runs that a script works with.

-- A call takes at most so many values from a table: Lua's stack ends at 8,000.
local MOST = 6000

local runs = {}  -- by id; false where there is no job
local changed = {}  -- the jobs that changed, in that order

-- Answer what a hash holds at some fields, false where there is nothing.
local function read_fields(key, fields)
    if #fields == 0 then
        return {}
    elseif #fields <= MOST then
        return redis.call('HMGET', key, unpack(fields))
    end
    local all = {}
    for first = 1, #fields, MOST do
        local last = math.min(first + MOST - 1, #fields)
        for _, found in ipairs(redis.call('HMGET', key, unpack(fields, first, last))) do
            all[#all + 1] = found
        end
    end
    return all
end

-- Have the run of a job, of which the text was read.
local function have(id, text)
    if runs[id] == nil then
        local run = false
        if text then
            run = unpacked(id, text)
            run[WAS], run[OLD_PLACE] = run[STATE], run[PLACE]
        end
        runs[id] = run
    end
    return runs[id]
end

-- Read the runs of some jobs.
local function load(ids)
    for n, text in ipairs(read_fields(RUNS, ids)) do
        have(ids[n], text)
    end
end

-- Read the runs of jobs that have a place, and so must have a record.
local function load_placed(ids)
    load(ids)
    for _, id in ipairs(ids) do
        if not runs[id] then
            lost(id)
        end
    end
end

-- Note that a job changes: `write_all` will store it.
local function change(run)
    if not run[CHANGED] then
        run[CHANGED] = true
        changed[#changed + 1] = run
    end
end

local function is_pending(run)
    return run[STATE] == READY or run[STATE] == SCHEDULED
end
