-- Version 2: scheduling from SQL. Programs of version 1 go on beside it: nothing of theirs changes.

-- What a job has when a call says nothing else: workers store it when they start.
create table stoker.definitions (
    prefix text collate "C" not null,             -- of the queues: empty, or tenant and a colon
    name text collate "C" not null,
    queue text collate "C" not null,              -- without the prefix
    priority smallint not null,
    max_attempts integer not null,
    max_crashes integer not null,
    payload_version integer not null,
    options jsonb not null,                       -- as stoker.options reads it; expires_delay counts
                                                  -- from when the job is due, and a key that is made
                                                  -- from the payload is ''
    stored_at timestamptz not null,
    primary key (prefix, name)
);

-- An id for a job: a UUIDv7, as Python makes them. 48 bits of milliseconds, the version, 12 bits of
-- a fraction of a millisecond, and then what is random.
create function stoker.new_id() returns text
language sql volatile
begin atomic
    select encode(
        overlay(
            uuid_send(gen_random_uuid())
            placing int8send((now.micros / 1000) << 16 | 28672 | now.micros % 1000 * 4096 / 1000)
            from 1
        ),
        'hex'
    )::uuid::text
    from (select stoker.micros(clock_timestamp()) as micros offset 0) as now;
end;

-- The channel on which hints are given: it is called after the schema.
create function stoker.channel() returns text
language sql stable
return (
    select n.nspname || '.hints'
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.oid = 'stoker.jobs'::regclass
);

-- The unique key of a job `name`, out of the text that tells such jobs apart.
create function stoker.unique_key(name text, key text) returns text
language sql stable
return case
    when octet_length(convert_to(name || ':' || key, 'UTF8')) <= 255 then name || ':' || key
    else left(name, 190) || ':' || encode(sha256(convert_to(name || ':' || key, 'UTF8')), 'hex')
end;

-- Refuse an argument.
create function stoker.refuse(message text, hint text) returns void
language plpgsql immutable as $$
begin
    raise exception using errcode = 'invalid_parameter_value', message = message, hint = hint;
end
$$;

-- `given`, which is 1 to 255 bytes of text without control characters; null for null.
create function stoker.checked(what text, given text) returns text
language plpgsql stable strict as $$
begin
    if octet_length(convert_to(given, 'UTF8')) not between 1 and 255
        or given ~ '[\u0001-\u001f\u007f-\u009f]'
    then
        perform stoker.refuse(
            format('%s %L is not allowed', what, left(given, 80)),
            'Give 1 to 255 bytes of text without control characters.'
        );
    end if;
    return given;
end
$$;

-- `given`, which is `lowest` to `highest`; null for null.
create function stoker.checked(what text, given bigint, lowest bigint, highest bigint) returns bigint
language plpgsql immutable strict as $$
begin
    if given not between lowest and highest then
        perform stoker.refuse(
            format('%s %s is not allowed', what, given),
            format('Give %s to %s.', lowest, highest)
        );
    end if;
    return given;
end
$$;

-- `given` in microseconds; it is not negative, and no longer than a century. Null for null.
create function stoker.checked(what text, given interval) returns bigint
language plpgsql stable strict as $$
begin
    if given not between interval '0' and interval '36525 days' then
        perform stoker.refuse(
            format('%s %L is not allowed', what, given),
            'Give a length of time from 0 to a century.'
        );
    end if;
    return stoker.micros(given);
end
$$;

-- `given` in microseconds since 1970; long ago is year 1. Null for null.
create function stoker.checked(what text, given timestamptz) returns bigint
language plpgsql stable strict as $$
begin
    if given > timestamptz '2250-01-01 00:00:00+00' then
        perform stoker.refuse(
            format('%s %L is too far away', what, given),
            'Give a time before the year 2250.'
        );
    end if;
    return stoker.micros(greatest(given, timestamptz '0001-01-01 00:00:00+00'));
end
$$;

-- `given` without what is there twice: at most a hundred tags. Null for null.
create function stoker.checked_tags(given text[]) returns text[]
language plpgsql stable strict as $$
begin
    if cardinality(given) > 100 or array_position(given, null) is not null then
        perform stoker.refuse(
            'these tags are not allowed',
            'Give at most 100 texts, none of them null.'
        );
    end if;
    return array(
        select distinct stoker.checked('tag', u.tag) collate "C" as tag
        from unnest(given) as u (tag)
        order by tag
    );
end
$$;

-- `given`, which is an object of at most a hundred texts. Null for null.
create function stoker.checked_metadata(given jsonb) returns jsonb
language plpgsql stable strict as $$
declare
    entry record;
begin
    if jsonb_typeof(given) <> 'object' then
        perform stoker.refuse(
            'metadata is no JSON object',
            'Give an object whose values are texts: {"tenant": "7"}.'
        );
    end if;
    for entry in select each.key, each.value from jsonb_each(given) as each loop
        perform stoker.checked('metadata key', entry.key);
        if jsonb_typeof(entry.value) <> 'string'
            or octet_length(convert_to(entry.value #>> '{}', 'UTF8')) > 4096
        then
            perform stoker.refuse(
                format('metadata %L is %s', entry.key, left(entry.value::text, 80)),
                'Give text of at most 4,096 bytes: "7", not 7.'
            );
        end if;
    end loop;
    perform stoker.checked(
        'number of metadata entries', (select count(*) from jsonb_object_keys(given)), 0, 100
    );
    return given;
end
$$;

-- The two halves of what stoker.schedule puts together: the options that a call gives, over those of
-- the job's definition. First all but the unique key.
create function stoker.merged(
    defined jsonb, delay bigint, at bigint, timeout interval, expires interval,
    expires_at timestamptz, keep_completed interval, keep_failed interval, keep_cancelled interval,
    tags text[], metadata json
) returns jsonb
language plpgsql stable as $$
declare
    lasts bigint;
    options jsonb := defined || jsonb_strip_nulls(jsonb_build_object(
        'timeout', stoker.checked('timeout', timeout),
        'keep_completed', stoker.checked('keep_completed', keep_completed),
        'keep_failed', stoker.checked('keep_failed', keep_failed),
        'keep_cancelled', stoker.checked('keep_cancelled', keep_cancelled),
        'tags', stoker.checked_tags(tags),
        'metadata', stoker.checked_metadata(metadata::jsonb)
    ));
begin
    if timeout = interval '0' then
        perform stoker.refuse(
            'a timeout of nothing is not allowed', 'Give more than 0, or leave it out.'
        );
    end if;
    if expires_at is not null then
        options := options - 'expires_delay' || jsonb_build_object(
            'expires_at', stoker.checked('expires_at', expires_at)
        );
    elsif expires is not null or options ? 'expires_delay' then
        -- A length counts from when the job is due.
        lasts := coalesce(
            stoker.checked('expires', expires), (options ->> 'expires_delay')::bigint
        );
        options := options - 'expires_delay' - 'expires_at' || case
            when at is null then jsonb_build_object('expires_delay', delay + lasts)
            else jsonb_build_object('expires_at', at + lasts)
        end;
    end if;
    return options;
end
$$;

-- And the unique key, with what its rule says.
create function stoker.merged_unique(
    options jsonb, name text, unique_key text, unique_until text, unique_for interval,
    on_conflict text
) returns jsonb
language plpgsql stable as $$
declare
    rule jsonb := jsonb_strip_nulls(jsonb_build_object(
        'on_conflict', on_conflict,
        'until', case when unique_for is null then unique_until else 'time' end
    ));
begin
    if unique_key = '' or (unique_key is null and options ->> 'key' = '') then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('the unique key of %L is missing', name),
            detail = 'Jobs of this name are unique by a key that Python makes from the payload.',
            hint = 'Say what tells such jobs apart: unique_key => ''...''.';
    end if;
    if unique_key is null and not options ? 'key' then
        if rule <> '{}' then
            perform stoker.refuse(
                format('%L has no unique key', name),
                'Give unique_key => ''...'' beside unique_until, unique_for and on_conflict.'
            );
        end if;
        return options;
    end if;
    if unique_until not in ('finish', 'start')
        or on_conflict not in ('keep', 'replace', 'reschedule')
    then
        perform stoker.refuse(
            'unique_until or on_conflict is not allowed',
            'unique_until is ''finish'' or ''start'', on_conflict is ''keep'', ''replace'' or '
                '''reschedule''.'
        );
    end if;
    if unique_for = interval '0' or (unique_for is not null and unique_until is not null) then
        perform stoker.refuse(
            'unique_for is not allowed',
            'Give a length of time of more than 0, and no unique_until beside it.'
        );
    end if;
    if rule ? 'until' then
        options := options - 'until_delay' - 'until_at';
    end if;
    return '{"until": "finish", "on_conflict": "keep"}' || options || rule
        || jsonb_strip_nulls(jsonb_build_object(
            'key', stoker.checked('unique key', stoker.unique_key(name, unique_key)),
            'until_delay', stoker.checked('unique_for', unique_for)
        ));
end
$$;

-- Store a job, as part of the caller's transaction; the README says what each argument means.
-- Answers the job's id: that of the job which was there before, if the id was taken or the unique key
-- held, or null if that job has left no record.
--
-- It runs with the rights of its owner, so that a role may be allowed to schedule and nothing else.
create function stoker.schedule(
    name text,
    payload json default 'null',
    delay interval default null,
    at timestamptz default null,
    queue text default null,
    priority integer default null,
    attempts integer default null,
    max_crashes integer default null,
    timeout interval default null,
    expires interval default null,
    expires_at timestamptz default null,
    keep_completed interval default null,
    keep_failed interval default null,
    keep_cancelled interval default null,
    unique_key text default null,
    unique_until text default null,
    unique_for interval default null,
    on_conflict text default null,
    tags text[] default null,
    metadata json default null,
    job_id text default null,
    prefix text default null
) returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    most constant bigint := 1000000;
    moment constant timestamptz := clock_timestamp();
    data constant bytea := convert_to(coalesce(payload, 'null')::text, 'UTF8');
    id constant text := coalesce(stoker.checked('job_id', job_id), stoker.new_id());
    own_prefix constant text := coalesce(nullif(prefix, '') || ':', '');
    wait constant bigint := coalesce(stoker.checked('delay', delay), 0);
    due constant bigint := stoker.checked('at', at);
    definition stoker.definitions;
    options jsonb;
    place text;
    answer record;
begin
    if delay is not null and at is not null then
        perform stoker.refuse(
            'both delay and at are given',
            'Give one of them, or none for now.'
        );
    end if;
    if position(':' in queue) > 0 or position(':' in prefix) > 0 then
        perform stoker.refuse(
            'a queue or a prefix with a colon is not allowed',
            'Give the prefix of the application''s queues apart from queue, as prefix.'
        );
    end if;
    if octet_length(data) > 1048576 then
        raise exception using
            errcode = 'program_limit_exceeded',
            message = format('the payload of %L is %s bytes', name, octet_length(data)),
            hint = 'At most 1,048,576: store large data elsewhere and pass a reference to it.';
    end if;
    select d.* into definition
    from stoker.definitions as d
    where d.prefix = own_prefix and d.name = schedule.name;
    if not found and queue is null then
        raise exception using
            errcode = 'undefined_object',
            message = format('no worker has stored a job %L', name),
            detail = format('Stored are, with the prefix %L: %s.', own_prefix, coalesce(
                (
                    select string_agg(d.name, ', ')
                    from (
                        select d.name from stoker.definitions as d
                        where d.prefix = own_prefix order by d.name limit 100
                    ) as d
                ),
                'none'
            )),
            hint = 'Workers store what they know when they start: start one that has this job, or '
                'say at least where it waits: queue => ''default''.';
    end if;
    options := stoker.merged_unique(
        stoker.merged(
            coalesce(definition.options, '{}'), wait, due, timeout, expires, expires_at,
            keep_completed, keep_failed, keep_cancelled, tags, metadata
        ),
        name, unique_key, unique_until, unique_for, on_conflict
    );
    place := stoker.checked('queue', own_prefix || coalesce(queue, definition.queue));
    select e.status, e.existing into answer
    from stoker.enqueue_unique(
        moment,
        array[place],
        array[id],
        array[stoker.checked('name', name)],
        array[data],
        array[null::text],
        array[coalesce(stoker.checked('priority', priority, 0, 9), definition.priority, 4)],
        array[wait],
        array[due],
        array[coalesce(stoker.checked('attempts', attempts, 1, most), definition.max_attempts, 1)],
        array[
            coalesce(stoker.checked('max_crashes', max_crashes, 0, most), definition.max_crashes, 5)
        ],
        array[coalesce(definition.payload_version, 1)::bigint],
        array[options::text]
    ) as e;
    if not found or answer.status = 'rescheduled' then
        -- However many jobs a transaction schedules: equal notifications are sent once.
        perform pg_notify(stoker.channel(), 'W' || place);
    end if;
    return case
        when answer.status in ('unique_conflict', 'rescheduled') then answer.existing
        else id
    end;
end
$$;

-- Whoever may use the schema may look at it; scheduling is a right of its own.
revoke execute on function stoker.schedule from public;
