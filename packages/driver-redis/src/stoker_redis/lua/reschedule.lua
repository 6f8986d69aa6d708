-- Move pending jobs to another time.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work
-- Uses: time layout run writes unique reports priorities meta moves storing
-- Flags: allow-oom
-- Arguments: now or nothing, when (as `resolve` takes it), ids.
-- Answers for each the state that it was in, -1 where there is no record, and the one it is in now.

local now, mode, value = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ids = {unpack(ARGV, 4)}
load_meta()
load(ids)
local answers = {}
for n, id in ipairs(ids) do
    local run, was = runs[id], -1
    if run then
        was = run[STATE]
        if is_pending(run) then
            reschedule(run, mode, value, now)
        end
    end
    answers[n] = {was, run and run[STATE] or -1}
end
write_all()
return answers
