-- How a job goes: the value of a field of RUNS, and as an array what a script makes of it. `_jobs.py`
-- has the same layout. NONE stands for a time that there is not; a time to keep below 0, for none.
--
-- What a claim changes is the first 34 bytes, and the end from TAIL_AT on; the end of a run changes
-- bytes up to 53. So scripts that many jobs pass through put other bytes there, and do not unpack
-- the whole.

local FORMAT = '<BBBBI2I4i8i8i8i8i8BBBBBI4I4I4I4I4I4I4i8i8i8i8i8i8sssss'

-- Only while a script has it: its id, its text, what and where it was when the script found it;
-- whether it changed, enters its stream, was inserted, and is to be deleted.
local ID, TEXT, WAS, OLD_PLACE, CHANGED, ENTERS, FRESH, DELETED = 1, 2, 3, 4, 5, 6, 7, 8

-- What is packed, from STATE to WORKER.
local STATE, SETTLED_AS, SETTLED_TO, HOLDS, TAIL_AT = 9, 10, 11, 12, 13
local ATTEMPT, EPOCH, CLAIMED_AT, EXPIRES_AT = 14, 15, 16, 17
local FINISHED_AT, PARKED_SINCE = 18, 19
local LASTING, PRIORITY, HAS_RESULT, HAS_PROGRESS, HAS_REASON = 20, 21, 22, 23, 24
local MAX_ATTEMPTS, CRASHES, MAX_CRASHES, SNOOZES = 25, 26, 27, 28
local ERRORS, LOGS, SIZE = 29, 30, 31
local ENQUEUED_AT, RUN_AT, READY_AT = 32, 33, 34
local KEEP_COMPLETED = 35  -- 36 and 37: failed and cancelled
local REASON, KEY, NONCE, PLACE, WORKER = 38, 39, 40, 41, 42

-- Where some of it is in the text.
local CLAIM_END, END_START, FLAGS_START, PRIORITY_START = 34, 35, 51, 52
local COUNTS_START, SIZE_START, TIMES_START, KEEP_START, TEXTS_START = 72, 80, 84, 108, 132

local NONE = -1152921504606846976

local SCHEDULED, READY, RUNNING, COMPLETED, FAILED, CANCELLED = 0, 1, 2, 3, 4, 5
local FINISH, START, FOR_A_TIME = 1, 2, 3  -- how long a unique key is held: LASTING

-- All in one go: a table that grows is copied.
local function unpacked(id, text)
    return {id, text, false, false, false, false, false, false, struct.unpack(FORMAT, text)}
end

local function packed(run)
    run[TAIL_AT] = TEXTS_START + #run[REASON] + #run[KEY] + #run[NONCE] + 3
    return struct.pack(FORMAT, unpack(run, STATE, WORKER))
end

-- Refuse to go on: a job that has a place must have a record.
local function lost(id)
    error(redis.error_reply('ERR the record of the job ' .. id .. ' is gone: its queue has lost a key, '
        .. 'evicted or deleted by hand'))
end
