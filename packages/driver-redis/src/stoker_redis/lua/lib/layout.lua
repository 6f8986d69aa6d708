-- How a job goes: the value of a field of RUNS, and as an array what a script makes of it.
-- `_jobs.py` has the same layout. NONE stands for a time that there is not; a time to keep below 0,
-- for none.

local FORMAT = '<BBBBBBBBBI4I4I4I4I4I4I4I4i8i8i8i8i8i8i8i8i8i8i8sssss'

-- Only while a script has it: its id, its text, what and where it was when the script found it;
-- whether it changed, enters its stream, was inserted, and is to be deleted.
local ID, TEXT, WAS, OLD_PLACE, CHANGED, ENTERS, FRESH, DELETED = 1, 2, 3, 4, 5, 6, 7, 8

-- What is packed, from STATE to NONCE.
local STATE, SETTLED_AS, SETTLED_TO = 9, 10, 11
local HAS_RESULT, HAS_PROGRESS, HAS_REASON = 12, 13, 14
local LASTING, HOLDS, PRIORITY = 15, 16, 17
local ATTEMPT, MAX_ATTEMPTS, CRASHES, MAX_CRASHES, SNOOZES = 18, 19, 20, 21, 22
local ERRORS, LOGS, SIZE = 23, 24, 25
local EPOCH, ENQUEUED_AT, RUN_AT, READY_AT = 26, 27, 28, 29
local CLAIMED_AT, EXPIRES_AT, FINISHED_AT, PARKED_SINCE = 30, 31, 32, 33
local KEEP_COMPLETED = 34  -- 35 and 36: failed and cancelled
local PLACE, WORKER, REASON, KEY, NONCE = 37, 38, 39, 40, 41

local NONE = -1152921504606846976

local SCHEDULED, READY, RUNNING, COMPLETED, FAILED, CANCELLED = 0, 1, 2, 3, 4, 5
local FINISH, START, FOR_A_TIME = 1, 2, 3  -- how long a unique key is held: LASTING

-- All in one go: a table that grows is copied.
local function unpacked(id, text)
    return {id, text, false, false, false, false, false, false, struct.unpack(FORMAT, text)}
end

local function packed(run)
    return struct.pack(FORMAT, unpack(run, STATE, NONCE))
end
