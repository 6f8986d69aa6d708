-- Store jobs, of which some have unique keys, each at most once.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports priorities meta moves storing enqueue
-- Arguments: now or nothing; then each job, as lib/enqueue.lua says.
-- Answers number, reason and id of each that was not stored.

load_meta()
local answers = store(2, clock(ARGV[1]))
write_all()
return answers
