-- Read records.
-- Keys: runs jobs reports
-- Uses: layout run reports
-- Arguments: ids.
-- Answers for each its run, its job and its reports, or nothing where there is no record.

load(ARGV)
local jobs = read_fields(JOBS, ARGV)
local answers = {}
for n, id in ipairs(ARGV) do
    local run, answer = runs[id], false
    if run then
        local fields = report_fields(run)
        answer = {run[TEXT], jobs[n], #fields > 0 and read_fields(REPORTS, fields) or {}}
    end
    answers[n] = answer
end
return answers
