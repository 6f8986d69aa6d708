-- Jobs that match every filter given, by the bytes of their ids, or from the last to the first.
-- Keys: runs jobs reports ids
-- Uses: time layout run reports
-- Arguments: the id to go on after, nothing for the beginning; 1 to go down; how many jobs to look
-- at, to answer, and how many bytes of them; the numbers of the states, as digits; enqueued from
-- and to; names, tags and metadata, as JSON; and the ids to look at, if only these are wanted. Each
-- filter may be nothing. Answers the id to go on after, nothing at the end; then id, run, job and
-- reports of each.

local after, goes_down, step = ARGV[1], ARGV[2] == '1', tonumber(ARGV[3])
local limit, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local states, since, before = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local wanted = ARGV[9] ~= '' and cjson.decode(ARGV[9])
local SLICE, SLICE_BYTES = 50, 1048576  -- of jobs that are read at once
local MOST_READ = 8388608  -- bytes of jobs that one search looks into

local function candidates()
    if #ARGV > 9 then
        return {unpack(ARGV, 10)}
    elseif goes_down then
        local start = after == '' and '+' or '(' .. after
        return redis.call('ZREVRANGEBYLEX', IDS, start, '-', 'LIMIT', 0, step)
    end
    local start = after == '' and '-' or '(' .. after
    return redis.call('ZRANGEBYLEX', IDS, start, '+', 'LIMIT', 0, step)
end

-- Whether a run passes the filters that need no more than it.
local function may_match(run)
    return run
        and (states == '' or string.find(states, tostring(run[STATE]), 1, true))
        and (not since or run[ENQUEUED_AT] >= since)
        and (not before or run[ENQUEUED_AT] < before)
end

-- The name and the options of a packed job, as `_jobs.py` has put them there.
local function parts_of(job)
    local name_size, options_size, _, at = struct.unpack('<I2I4I4', job)
    local name = string.sub(job, at, at + name_size - 1)
    at = at + name_size
    local options = options_size > 0 and cjson.decode(string.sub(job, at, at + options_size - 1))
    return name, options or {}
end

local function has_tags(options)
    local has = {}
    for _, tag in ipairs(options.tags or {}) do
        has[tag] = true
    end
    for _, tag in ipairs(wanted.tags) do
        if not has[tag] then
            return false
        end
    end
    return true
end

local function has_metadata(options)
    local metadata = options.metadata or {}
    for key, text in pairs(wanted.metadata) do
        if metadata[key] ~= text then
            return false
        end
    end
    return true
end

local function matches(job)
    if not wanted then
        return true
    end
    local name, options = parts_of(job)
    return (not wanted.names or wanted.names[name])
        and (not wanted.tags or has_tags(options))
        and (not wanted.metadata or has_metadata(options))
end

local answer = {''}
local found = 0

-- Answer those of some jobs that match; return the last id looked at if there is no room for more.
local function add_matches(ids)
    for n, job in ipairs(read_fields(JOBS, ids)) do
        local run = runs[ids[n]]
        if matches(job) then
            local fields = report_fields(run)
            local reports = #fields > 0 and read_fields(REPORTS, fields) or {}
            for _, item in ipairs({run[ID], run[TEXT], job, reports}) do
                answer[#answer + 1] = item
            end
            found, room = found + 1, room - #job
            for _, report in ipairs(reports) do
                room = room - #report
            end
            if found == limit or room <= 0 then
                return run[ID]
            end
        end
    end
    return nil
end

local function walk(ids)
    local slice, bytes, read = {}, 0, 0
    for _, id in ipairs(ids) do
        local run = runs[id]
        if may_match(run) then
            slice[#slice + 1] = id
            bytes = bytes + run[SIZE]
        end
        if #slice == SLICE or bytes > SLICE_BYTES then
            local last = add_matches(slice)
            read = read + bytes
            if last or read > MOST_READ then
                return last or id
            end
            slice, bytes = {}, 0
        end
    end
    local last = #slice > 0 and add_matches(slice)
    return last or (#ids == step and ids[#ids] or '')
end

local ids = candidates()
load(ids)
answer[1] = walk(ids)
return answer
