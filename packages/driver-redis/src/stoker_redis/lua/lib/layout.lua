-- How a job goes: the value of a field of RUNS, as an array with these indexes. `_jobs.py` has the
-- same layout. NONE stands for a time that there is not; a time to keep below 0, for none.

local FORMAT = '<BBBBBBBBBI4I4I4I4I4I4I4I4i8i8i8i8i8i8i8i8i8i8i8sssss'

local STATE, SETTLED_AS, SETTLED_TO = 1, 2, 3
local HAS_RESULT, HAS_PROGRESS, HAS_REASON = 4, 5, 6
local LASTING, HOLDS, PRIORITY = 7, 8, 9
local ATTEMPT, MAX_ATTEMPTS, CRASHES, MAX_CRASHES, SNOOZES = 10, 11, 12, 13, 14
local ERRORS, LOGS, SIZE = 15, 16, 17
local EPOCH, ENQUEUED_AT, RUN_AT, READY_AT = 18, 19, 20, 21
local CLAIMED_AT, EXPIRES_AT, FINISHED_AT, PARKED_SINCE = 22, 23, 24, 25
local KEEP_COMPLETED = 26  -- 27 and 28: failed and cancelled
local PLACE, WORKER, REASON, KEY, NONCE = 29, 30, 31, 32, 33
local PACKED = 33

-- Only while a script has it: its id, what and where it was when the script found it, its text;
-- whether it changed, enters its stream, was inserted, and is to be deleted.
local ID, WAS, OLD_PLACE, TEXT, CHANGED, ENTERS, FRESH, DELETED = 34, 35, 36, 37, 38, 39, 40, 41

local NONE = -1152921504606846976

local SCHEDULED, READY, RUNNING, COMPLETED, FAILED, CANCELLED = 0, 1, 2, 3, 4, 5
local FINISH, START, FOR_A_TIME = 1, 2, 3  -- how long a unique key is held: LASTING
