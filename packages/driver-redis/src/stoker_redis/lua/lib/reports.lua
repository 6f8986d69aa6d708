-- What the runs of a job leave behind, each a field of REPORTS: `r:` its result, `p:` its progress,
-- and rings of the newest errors (`e0:` to `e9:`) and logs (`l0:` to `l99:`), all followed by the
-- id.

local NEWEST_ERRORS, NEWEST_LOGS = 10, 100

-- The fields of a job: result and progress if there are any, then errors and logs, oldest first.
local function report_fields(run)
    local id, fields = run[ID], {}
    if run[HAS_RESULT] == 1 then
        fields[1] = 'r:' .. id
    end
    if run[HAS_PROGRESS] == 1 then
        fields[#fields + 1] = 'p:' .. id
    end
    for n = math.max(0, run[ERRORS] - NEWEST_ERRORS), run[ERRORS] - 1 do
        fields[#fields + 1] = 'e' .. n % NEWEST_ERRORS .. ':' .. id
    end
    for n = math.max(0, run[LOGS] - NEWEST_LOGS), run[LOGS] - 1 do
        fields[#fields + 1] = 'l' .. n % NEWEST_LOGS .. ':' .. id
    end
    return fields
end
