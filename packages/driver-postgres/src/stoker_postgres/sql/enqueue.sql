-- Store jobs, each unless its id exists. None of them has a unique key.
-- $1 now or null, $2 how long to wait for locks or null, $3 the channel, $4 the hints to give or null,
-- $5 to $16 what the jobs are: the payloads, and each other property as a text that has a line for
-- each job, or one line for all. Without nonces ($9) they are the ids. Answers how many jobs were
-- inserted and, unless it was all of them, which.
with clock as materialized (
    select
        coalesce(stoker.instant($1::bigint), clock_timestamp()) as now,
        case when $2::text is not null then set_config('lock_timeout', $2, true) end as patience
),
inserted as (
    insert into stoker.jobs (
        queue, id, name, payload, payload_version, nonce, priority, place, max_attempts,
        max_crashes, enqueued_at, run_at, state, ready_at, expires, timeout, keep_completed,
        keep_failed, keep_cancelled, tags, metadata, headers
    )
    select i.queue, i.id, i.name, i.payload, i.version, i.nonce, i.priority, i.place, i.attempts,
        i.crashes, i.now, i.run_at,
        case when i.run_at <= i.now then 'ready' else 'scheduled' end,
        case when i.run_at <= i.now then i.now end,
        o.expires, o.timeout, o.keep_completed, o.keep_failed, o.keep_cancelled, o.tags, o.metadata,
        o.headers
    from (
        select coalesce(u.queue, $5) as queue, coalesce(u.id, $6) as id,
            coalesce(u.name, $7) as name, u.payload,
            nullif(coalesce(u.nonce, $9, u.id, $6), '') as nonce,
            coalesce(u.priority, $10)::bigint as priority,
            coalesce(u.attempts, $13)::bigint as attempts,
            coalesce(u.crashes, $14)::bigint as crashes,
            coalesce(u.version, $15)::bigint as version,
            nullif(coalesce(u.more, $16), '')::jsonb as more,
            clock.now,
            stoker.resolve(
                clock.now,
                nullif(coalesce(u.delay, $11), '')::bigint,
                nullif(coalesce(u.at, $12), '')::bigint
            ) as run_at,
            nextval('stoker.places') as place,  -- in the order of the batch
            u.n
        from clock
        cross join unnest(
            string_to_array($5, E'\n'), string_to_array($6, E'\n'), string_to_array($7, E'\n'),
            $8::bytea[], string_to_array($9, E'\n'), string_to_array($10, E'\n'),
            string_to_array($11, E'\n'), string_to_array($12, E'\n'), string_to_array($13, E'\n'),
            string_to_array($14, E'\n'), string_to_array($15, E'\n'), string_to_array($16, E'\n')
        ) with ordinality as u (
            queue, id, name, payload, nonce, priority, delay, at, attempts, crashes, version, more, n
        )
    ) as i
    cross join lateral stoker.options(i.more, i.now) as o
    -- Rows are taken in the order of their keys, so that two batches which meet do not deadlock; of
    -- two with one key the first is stored.
    order by i.queue, i.id, i.n
    on conflict (queue, id) do nothing
    returning queue, id
)
select done.jobs,
    case when done.jobs < cardinality($8) then array(select queue from inserted) end,
    case when done.jobs < cardinality($8) then array(select id from inserted) end,
    (select count(pg_notify($3::text, hint)) from unnest(string_to_array($4, E'\n')) as hint)
from (select count(*) as jobs from inserted) as done
