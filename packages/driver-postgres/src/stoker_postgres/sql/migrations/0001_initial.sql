-- Version 1: all tables. Every name is in a schema of the driver's own.

-- Whole microseconds since 1970 as a point in time. What a client sends and reads are texts, bytes
-- and whole numbers, so no codec that somebody set on a connection can come between. Exact up to
-- the year 2255.
create function stoker.instant(micros bigint) returns timestamptz
language sql stable
return timestamptz '1970-01-01 00:00:00+00' + micros * interval '1 microsecond';

-- A point in time as whole microseconds since 1970.
create function stoker.micros(moment timestamptz) returns bigint
language sql stable
return (extract(epoch from moment) * 1000000)::bigint;

-- A length of time as whole microseconds.
create function stoker.micros(length interval) returns bigint
language sql stable
return (extract(epoch from length) * 1000000)::bigint;

-- When a time in a request is: so long after `moment`, or at a time of its own, which is never in
-- the past. Null for neither.
create function stoker.resolve(moment timestamptz, delay bigint, at bigint) returns timestamptz
language sql stable
return case
    when at is null then moment + delay * interval '1 microsecond'
    else greatest(moment, stoker.instant(at))
end;

-- What few jobs have, as it comes with an enqueue: a JSON object, or null.
create function stoker.options(
    o jsonb, moment timestamptz,
    out expires timestamptz, out timeout interval, out keep_completed interval,
    out keep_failed interval, out keep_cancelled interval, out tags text[], out metadata jsonb,
    out headers text
) returns setof record
language sql stable rows 1
begin atomic
    select
        stoker.resolve(moment, (o ->> 'expires_delay')::bigint, (o ->> 'expires_at')::bigint),
        (o ->> 'timeout')::bigint * interval '1 microsecond',
        (o ->> 'keep_completed')::bigint * interval '1 microsecond',
        (o ->> 'keep_failed')::bigint * interval '1 microsecond',
        (o ->> 'keep_cancelled')::bigint * interval '1 microsecond',
        case when o ? 'tags' then array(select jsonb_array_elements_text(o -> 'tags')) end,
        o -> 'metadata',
        o ->> 'headers';
end;

-- Sequences give the numbers that only ever rise, also after a crash. None of them is cached by a
-- session: an epoch has to be greater than every one that was issued before.
create sequence stoker.epochs cache 1;
create sequence stoker.places cache 1;
create sequence stoker.versions cache 1;

-- One row a job. What never changes stands at the beginning and at the end: of an update that stays
-- on its page, only what is between the first and the last byte that changed is written to the log.
create table stoker.jobs (
    enqueued_at timestamptz not null,
    max_attempts integer not null,
    max_crashes integer not null,
    payload_version integer not null,
    priority smallint not null,
    logged boolean not null default false,        -- it has rows in stoker.logs
    attempt integer not null default 0,
    crashes integer not null default 0,
    snoozes integer not null default 0,
    epoch bigint not null default 0,              -- of its last lease; fences all later ones
    place bigint not null,                        -- the order of becoming ready
    run_at timestamptz not null,
    ready_at timestamptz,
    claimed_at timestamptz,
    expires_at timestamptz,                       -- when its lease may be reaped; set while it runs
    finished_at timestamptz,
    keep_until timestamptz,                       -- set with finished_at, by the job's own wish
    parked_since timestamptz,
    state text collate "C" not null,
    worker text collate "C",
    settled_as text collate "C",                  -- what ended its last lease,
    settled_to text collate "C",                  -- and the state that this led to
    cancel_reason text,
    errors bytea[],                               -- the newest 10, oldest first
    result bytea,
    progress bytea,
    queue text collate "C" not null,
    id text collate "C" not null,
    name text collate "C" not null,
    nonce text collate "C",                       -- names the request that stored the job
    payload bytea not null,
    expires timestamptz,                          -- do not start after this
    timeout interval,
    keep_completed interval,
    keep_failed interval,
    keep_cancelled interval,
    unique_key text collate "C",
    unique_until text collate "C",                -- finish, start or time
    tags text[] collate "C",
    metadata jsonb,
    headers text,                                 -- JSON, never looked into
    -- A claim and a settlement enter the next version of the row beside the one before. In a full
    -- leaf each has to look for dead entries first, and to split the leaf if there are none.
    primary key (queue, id) with (fillfactor = 70)
) with (
    -- Room for the next version of a row on its own page, also if the claim has made it longer: a
    -- heartbeat then touches no index, and a claim or a settlement writes only what has changed to
    -- the log.
    fillfactor = 40,
    -- Rows live for seconds. Dead ones have to go soon, however large the table is.
    -- An empty table keeps its pages: to give them back takes a lock that stops everybody, and a
    -- planner that believes in an empty table reads all of it when it is full again.
    vacuum_truncate = false,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.1,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_analyze_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- Every index is paid for with each job: these are those that claims, promotes, reaps and purges
-- need. None is on the expiry of a lease, so that a heartbeat changes no index.
create index jobs_ready on stoker.jobs (queue, priority desc, place)
where state = 'ready';

create index jobs_scheduled on stoker.jobs (queue, run_at)
where state = 'scheduled';

create index jobs_running on stoker.jobs (queue)
where state = 'running';

-- A kept record is in one of these two: by its end, or by the age that the job asked for.
create index jobs_ended on stoker.jobs (queue, state, finished_at)
where finished_at is not null and keep_until is null;

create index jobs_aged on stoker.jobs (queue, state, keep_until)
where keep_until is not null;

-- The log entries of jobs. No foreign key: a check for each row would lock the job.
create table stoker.logs (
    number bigint generated always as identity,
    queue text collate "C" not null,
    id text collate "C" not null,
    body bytea not null,
    primary key (queue, id, number)
);

-- Who holds a unique key. Without `expires_at` it is held until its job starts or ends.
create table stoker.keys (
    expires_at timestamptz,
    queue text collate "C" not null,
    key text collate "C" not null,
    id text collate "C" not null,
    primary key (queue, key)
);

create index keys_expiring on stoker.keys (queue, expires_at)
where expires_at is not null;

-- Queues that are paused.
create table stoker.pauses (
    queue text collate "C" primary key
);

-- Recurring jobs. Versions come from a sequence, so no name is ever given one twice.
create table stoker.schedules (
    queue text collate "C" not null,
    name text collate "C" not null,
    definition bytea not null,
    next_at timestamptz,
    last_at timestamptz,
    count bigint not null default 0,
    version bigint not null,
    primary key (queue, name)
);

create table stoker.workers (
    worker text collate "C" primary key,
    queues text[] not null,
    info bytea not null,
    since timestamptz not null,
    expires_at timestamptz not null
);

-- Triggers do what has to follow every change of a job, whoever made it. Unlike the statement that
-- fired them they see what was committed while it waited for the row. Rows that need nothing are
-- told by `when`, which costs next to nothing.

create function stoker.free_key() returns trigger
language plpgsql as $$
begin
    delete from stoker.keys
    where queue = old.queue and key = old.unique_key and id = old.id and expires_at is null;
    return null;
end
$$;

create trigger key_freed_by_end after update of state on stoker.jobs
for each row
when (
    old.unique_key is not null
    and old.finished_at is null
    and (new.finished_at is not null or (new.state = 'running' and old.unique_until = 'start'))
)
execute function stoker.free_key();

-- A key that is held until a time stays without its holder: no job has an empty id. Otherwise a later
-- job that is given the same id would be taken for the holder. A key that somebody holds locked has
-- expired and is being taken.
create function stoker.leave_key() returns trigger
language plpgsql as $$
begin
    delete from stoker.keys
    where queue = old.queue and key = old.unique_key and id = old.id and expires_at is null;
    update stoker.keys set id = ''
    where ctid = any(array(
        select k.ctid from stoker.keys as k
        where k.queue = old.queue and k.key = old.unique_key and k.id = old.id
        for update skip locked
    ));
    return null;
end
$$;

create trigger key_left_by_removal after delete on stoker.jobs
for each row
when (old.unique_key is not null and (old.finished_at is null or old.unique_until = 'time'))
execute function stoker.leave_key();

create function stoker.remove_logs() returns trigger
language plpgsql as $$
begin
    delete from stoker.logs where queue = old.queue and id = old.id;
    return null;
end
$$;

create trigger logs_removed after delete on stoker.jobs
for each row
when (old.logged)
execute function stoker.remove_logs();

-- Take a unique key for a job, if nobody holds it at `moment`. Answers whether it was taken.
-- Waits for a transaction that is taking the same key.
create function stoker.take_key(
    in_queue text, in_key text, in_id text, in_expires_at timestamptz, moment timestamptz
) returns boolean
language plpgsql as $$
begin
    loop
        insert into stoker.keys (queue, key, id, expires_at)
        values (in_queue, in_key, in_id, in_expires_at)
        on conflict (queue, key) do nothing;
        if found then
            return true;
        end if;
        update stoker.keys set id = in_id, expires_at = in_expires_at
        where queue = in_queue and key = in_key and expires_at <= moment;
        if found then
            return true;
        end if;
        -- Held, unless it was freed between the two statements.
        perform from stoker.keys where queue = in_queue and key = in_key;
        if found then
            return false;
        end if;
    end loop;
end
$$;

-- Store jobs of which some have a unique key. It is a function because each of its statements sees
-- what was committed while the one before waited, and the holder of a key is to be named.
--
-- Keys are taken in their own order, the same for every batch, so that two batches which meet wait
-- for each other and do not deadlock; places are given in the order of the batch. Nothing else is
-- waited for: a holder that another transaction has locked is a conflict. A batch that has an id
-- twice is stored in its own order, since what becomes of the second depends on the first. Answers,
-- by its number in the batch, for each job that was not inserted.
create function stoker.enqueue_unique(
    moment timestamptz,
    queues text[], ids text[], names text[], payloads bytea[], nonces text[], priorities bigint[],
    delays bigint[], ats bigint[], attempts bigint[], crashes bigint[], versions bigint[],
    options text[]
) returns table (number bigint, status text, existing text)
language plpgsql as $$
declare
    item record;
    holder record;
    job stoker.jobs;
    own text[] := '{}';  -- the keys that this call has taken
    known text[] := '{}';  -- of the ids that are there twice, those that this call has stored or met
    due timestamptz;
begin
    for item in
        select i.*
        from (
            select u.*, u.more::jsonb as o, u.more::jsonb ->> 'key' as key,
                nextval('stoker.places') as place,
                count(*) over (partition by u.queue, u.id) as twins
            from unnest(
                queues, ids, names, payloads, nonces, priorities, delays, ats, attempts, crashes,
                versions, options
            ) with ordinality as u (
                queue, id, name, payload, nonce, priority, delay, at, attempts, crashes, version,
                more, n
            )
            order by u.n
        ) as i
        order by
            case when max(i.twins) over () = 1 then i.queue end,
            case when max(i.twins) over () = 1 then i.key end nulls first,
            i.n
    loop
        number := item.n;
        existing := null;
        due := stoker.resolve(moment, item.delay, item.at);
        <<attempt>>
        loop
            -- The id is looked at before the key.
            select j.nonce into holder from stoker.jobs as j
            where j.queue = item.queue and j.id = item.id;
            if found then
                status := case
                    when holder.nonce = item.nonce
                        and (item.twins = 1 or item.queue || chr(1) || item.id <> all(known))
                    then 'inserted'
                    else 'duplicate_id'
                end;
                if item.twins > 1 and status = 'inserted' then
                    known := known || (item.queue || chr(1) || item.id);
                end if;
                return next;
                exit;
            end if;
            if item.key is not null and not stoker.take_key(
                item.queue, item.key, item.id,
                stoker.resolve(
                    moment, (item.o ->> 'until_delay')::bigint, (item.o ->> 'until_at')::bigint
                ),
                moment
            ) then
                select k.id, j.id is not null as has_record into holder
                from stoker.keys as k
                left join stoker.jobs as j on j.queue = k.queue and j.id = k.id
                where k.queue = item.queue and k.key = item.key;
                continue attempt when not found or holder.id = item.id;
                existing := case when holder.has_record then holder.id end;
                job := null;
                if item.o ->> 'on_conflict' <> 'keep'
                    and item.queue || chr(1) || item.key <> all(own)
                then
                    select * into job from stoker.jobs as j
                    where j.queue = item.queue and j.id = holder.id
                        and j.state in ('scheduled', 'ready')
                    for update skip locked;
                end if;
                if job.id is null then
                    status := 'unique_conflict';
                    return next;
                    exit;
                end if;
                if item.o ->> 'on_conflict' = 'reschedule' then
                    update stoker.jobs as j
                    set run_at = due,
                        state = case when due <= moment then 'ready' else 'scheduled' end,
                        ready_at = case
                            when due <= moment and j.state <> 'ready' then moment else j.ready_at
                        end,
                        place = case
                            when due <= moment and j.state <> 'ready' then item.place else j.place
                        end
                    where j.queue = job.queue and j.id = job.id;
                    status := 'rescheduled';
                    return next;
                    exit;
                end if;
                if job.keep_cancelled = interval '0' then
                    delete from stoker.jobs as j where j.queue = job.queue and j.id = job.id;
                else
                    update stoker.jobs as j
                    set state = 'cancelled',
                        finished_at = moment,
                        keep_until = moment + j.keep_cancelled,
                        cancel_reason = 'replaced by ' || item.id
                    where j.queue = job.queue and j.id = job.id;
                end if;
                -- A key that is held for a time outlives its job, but not a replacement.
                delete from stoker.keys as k
                where k.queue = item.queue and k.key = item.key and k.id in (job.id, '');
                continue attempt;
            end if;
            insert into stoker.jobs (
                queue, id, name, payload, payload_version, nonce, priority, place,
                max_attempts, max_crashes, enqueued_at, run_at, state, ready_at, expires, timeout,
                keep_completed, keep_failed, keep_cancelled, unique_key, unique_until, tags,
                metadata, headers
            )
            select item.queue, item.id, item.name, item.payload, item.version, item.nonce,
                item.priority, item.place, item.attempts, item.crashes, moment, due,
                case when due <= moment then 'ready' else 'scheduled' end,
                case when due <= moment then moment end,
                o.expires, o.timeout, o.keep_completed, o.keep_failed, o.keep_cancelled,
                item.key, item.o ->> 'until', o.tags, o.metadata, o.headers
            from stoker.options(item.o, moment) as o
            on conflict (queue, id) do nothing;
            if found then
                if item.key is not null then
                    own := own || (item.queue || chr(1) || item.key);
                end if;
                if item.twins > 1 then
                    known := known || (item.queue || chr(1) || item.id);
                end if;
                exit;
            end if;
            -- Somebody stored this id meanwhile, with another key or none.
            delete from stoker.keys as k
            where k.queue = item.queue and k.key = item.key and k.id = item.id;
        end loop;
    end loop;
end
$$;

-- Let failed and cancelled jobs begin anew; each takes its unique key again, or stays as it is.
-- Keys are taken in their own order, as above; rows that another transaction holds are skipped.
-- Answers for each other job, with the state that it is in where that does not allow it.
create function stoker.retry(moment timestamptz, queues text[], ids text[])
returns table (number bigint, status text, state text, existing text)
language plpgsql as $$
declare
    item record;
begin
    for item in
        select u.queue, u.id, u.n, j.unique_key as key, j.unique_until
        from unnest(queues, ids) with ordinality as u (queue, id, n)
        join stoker.jobs as j on j.queue = u.queue and j.id = u.id
        order by u.queue, j.unique_key nulls first, u.n
    loop
        number := item.n;
        existing := null;
        select j.state into state from stoker.jobs as j
        where j.queue = item.queue and j.id = item.id
        for update skip locked;
        continue when not found;
        if state not in ('failed', 'cancelled') then
            status := 'not_applicable';
            return next;
            continue;
        end if;
        if item.key is not null and item.unique_until <> 'time'
            and not stoker.take_key(item.queue, item.key, item.id, null, moment)
        then
            status := 'unique_conflict';
            state := null;
            select j.id into existing
            from stoker.keys as k
            join stoker.jobs as j on j.queue = k.queue and j.id = k.id
            where k.queue = item.queue and k.key = item.key;
            return next;
            continue;
        end if;
        update stoker.jobs as j
        set state = 'ready',
            place = nextval('stoker.places'),
            run_at = moment,
            ready_at = moment,
            finished_at = null,
            keep_until = null,
            parked_since = null,
            settled_as = null,
            settled_to = null,
            cancel_reason = null,
            result = null,
            progress = null,
            attempt = 0,
            crashes = 0,
            snoozes = 0
        where j.queue = item.queue and j.id = item.id;
        status := 'done';
        state := 'ready';
        return next;
    end loop;
end
$$;
