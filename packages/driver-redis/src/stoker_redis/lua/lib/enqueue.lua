-- Storing new jobs. Each is four arguments: its id; its run, packed, without what the server knows
-- better; its job, as JOBS keeps it; and, unless it is to run at once and without a unique key, a
-- plan: when it runs (as `resolve` takes it), until when its key is held, and what happens when
-- another job holds it.

local PLAN = '<Bi8Bi8B'
local REPLACE, MOVE = 1, 2
local DUPLICATE, CONFLICT, MOVED = 1, 2, 3  -- the answers; none to a job that was stored

local resent = {}  -- the ids that were the same request sent again: once each

-- Whether a job with this id is this very request, sent again.
local function is_resent(existing, new)
    if new[NONCE] == '' or new[NONCE] ~= existing[NONCE] or existing[FRESH] or resent[new[ID]] then
        return false
    end
    resent[new[ID]] = true
    return true
end

-- Make room for a job whose key is held; answer what became of it instead, if there is none.
local function give_way(new, hold, plan, now)
    local held_by = runs[hold[3]]
    if not held_by then
        return CONFLICT, ''
    end
    local mode, value, _, _, on_conflict = struct.unpack(PLAN, plan)
    local is_movable = is_pending(held_by) and not held_by[FRESH]
    if is_movable and on_conflict == REPLACE then
        free_key(held_by)
        ask_to_cancel(held_by, 'replaced by ' .. new[ID])
        finish(held_by, CANCELLED, now)
        return nil
    elseif is_movable and on_conflict == MOVE then
        reschedule(held_by, mode, value, now)
        return MOVED, held_by[ID]
    end
    return CONFLICT, held_by[ID]
end

local function insert(new, job, plan, now)
    local mode, value, until_mode, until_value = NOW, 0, NOW, 0
    if plan ~= '' then
        mode, value, until_mode, until_value = struct.unpack(PLAN, plan)
    end
    new[FRESH] = true
    new[ENQUEUED_AT] = now
    runs[new[ID]] = new
    if new[KEY] ~= '' then
        take_key(new, new[LASTING] == FOR_A_TIME and resolve(until_mode, until_value, now) or NONE)
    end
    pend(new, resolve(mode, value, now), now)
    write('HSET', JOBS, new[ID], job)
    write('ZADD', IDS, 0, new[ID])
end

-- Read what is there of the ids and keys of new jobs, and of the holders of these keys.
local function look_up(news)
    local ids, keys, holders = {}, {}, {}
    for n, new in ipairs(news) do
        ids[n] = new[ID]
        if new[KEY] ~= '' then
            keys[#keys + 1] = new[KEY]
        end
    end
    load(ids)
    load_holds(keys)
    for _, key in ipairs(keys) do
        if holds[key] and holds[key][3] ~= '' then
            holders[#holders + 1] = holds[key][3]
        end
    end
    load(holders)
end

-- Store the jobs that the arguments from `first` on describe, each at most once. Answer, for each
-- that was not, its number, why, and the id that it met.
local function store(first, now)
    local news, answers = {}, {}
    for at = first, #ARGV, 4 do
        news[#news + 1] = unpacked(ARGV[at], ARGV[at + 1])
    end
    look_up(news)
    local takes_time = false
    for n, new in ipairs(news) do
        local at = first + (n - 1) * 4
        local plan = ARGV[at + 3]
        local existing, why, met = runs[new[ID]], nil, ''
        if existing and not existing[DELETED] then
            why = not is_resent(existing, new) and DUPLICATE or nil
        else
            local hold = new[KEY] ~= '' and holder(new[KEY], now)
            if hold then
                why, met = give_way(new, hold, plan, now)
            end
            if not why then
                insert(new, ARGV[at + 2], plan, now)
                takes_time = takes_time or new[LASTING] == FOR_A_TIME
            end
        end
        if why then
            answers[#answers + 1] = n
            answers[#answers + 1] = why
            answers[#answers + 1] = met
        end
    end
    if takes_time then
        forget_keys(now, 2 * #news)  -- more than came, so that expired keys cannot pile up
    end
    return answers
end
