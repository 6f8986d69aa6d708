-- Cancel pending jobs; ask for the end of running ones.
-- Keys: meta runs jobs ids due streams leases reports finished aging unique until work cancel
-- Uses: time layout run writes unique reports priorities meta moves storing
-- Flags: allow-oom
-- Arguments: now or nothing, the reason, ids.
-- Answers for each the state that it was in, -1 where there is no record.

local now, reason = clock(ARGV[1]), ARGV[2]

local function cancel(run)
    if not run then
        return -1
    end
    local was = run[STATE]
    if was == RUNNING then
        streams[CANCEL] = true
        if run[HAS_REASON] == 0 then
            ask_to_cancel(run, reason)
        end
    elseif is_pending(run) then
        ask_to_cancel(run, reason)
        finish(run, CANCELLED, now)
    end
    return was
end

local ids = {unpack(ARGV, 3)}
load_meta()
load(ids)
local answers = {}
for n, id in ipairs(ids) do
    answers[n] = cancel(runs[id])
end
write_all()
if streams[CANCEL] then
    hint(CANCEL)
end
return answers
