-- Delete jobs in any state, and free their unique keys.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports priorities meta moves storing
-- Flags: allow-oom
-- Arguments: ids.
-- Answers for each whether it was there.

load(ARGV)
local answers = {}
for n, id in ipairs(ARGV) do
    local run = runs[id]
    answers[n] = run and 1 or 0
    if run then
        free_key(run)
        forget(run)
    end
end
write_all()
return answers
