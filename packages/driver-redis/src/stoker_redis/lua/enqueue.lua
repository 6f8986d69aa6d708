-- Store jobs, each at most once.
-- Keys: meta runs jobs ids due streams reports finished aging unique until work
-- Uses: time run writes unique reports meta moves enqueue
-- Arguments: now or nothing; then each job, as lib/enqueue.lua says.
-- Answers number, reason and id of each that was not stored.

load_meta()
local answers = store(2, clock(ARGV[1]))
write_all()
return answers
