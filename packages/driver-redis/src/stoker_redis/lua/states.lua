-- The states of jobs.
-- Keys: runs
-- Uses: layout run
-- Arguments: ids.
-- Answers the number of a state for each, -1 where there is no record.

local answers = {}
for n, text in ipairs(read_fields(RUNS, ARGV)) do
    answers[n] = text and string.byte(text) or -1
end
return answers
