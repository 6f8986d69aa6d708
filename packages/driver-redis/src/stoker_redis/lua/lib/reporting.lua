-- Keeping what a run leaves behind.

local function keep_error(run, text)
    write('HSET', REPORTS, 'e' .. run[ERRORS] % NEWEST_ERRORS .. ':' .. run[ID], text)
    run[ERRORS] = run[ERRORS] + 1
end

local function keep_log(run, text)
    write('HSET', REPORTS, 'l' .. run[LOGS] % NEWEST_LOGS .. ':' .. run[ID], text)
    run[LOGS] = run[LOGS] + 1
end

local function keep_result(run, text)
    write('HSET', REPORTS, 'r:' .. run[ID], text)
    run[HAS_RESULT] = 1
end

local function keep_progress(run, text)
    write('HSET', REPORTS, 'p:' .. run[ID], text)
    run[HAS_PROGRESS] = 1
end
