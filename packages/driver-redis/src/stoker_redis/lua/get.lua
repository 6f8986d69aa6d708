-- Read records.
-- Keys: runs jobs reports
-- Uses: layout run reports
-- Arguments: how many bytes of them; ids.
-- Answers for each its run, its job and its reports, or nothing where there is no record. What
-- there is no room for is left off at the end; the first is there in any case.

local SLICE = 16  -- so many are read at once

local room = tonumber(ARGV[1])
local ids = {unpack(ARGV, 2)}
local answers = {}

local function answer(run, job)
    if not run then
        return false
    end
    local fields = report_fields(run)
    local reports = read_fields(REPORTS, fields)
    room = room - #job
    for _, report in ipairs(reports) do
        room = room - #report
    end
    return {run[TEXT], job, reports}
end

load(ids)
for first = 1, #ids, SLICE do
    local slice = {unpack(ids, first, math.min(first + SLICE - 1, #ids))}
    for n, job in ipairs(read_fields(JOBS, slice)) do
        if room <= 0 then
            return answers
        end
        answers[#answers + 1] = answer(runs[slice[n]], job)
    end
end
return answers
