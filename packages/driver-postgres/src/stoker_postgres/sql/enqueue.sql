-- Store jobs, each unless its id exists. None of them has a unique key.
-- $1 now or null, $2 how long to wait for locks or null, $3 the channel, $4 the hints to give,
-- $5 to $16 what the jobs are, an array for each property. Answers the places of the
-- jobs that were inserted, and the places of all.
with clock as materialized (
    select
        coalesce(stoker.instant($1::bigint), clock_timestamp()) as now,
        case when $2::text is not null then set_config('lock_timeout', $2, true) end as patience
),
-- Places are given in the order of the batch.
items as materialized (
    select u.*, nextval('stoker.places') as place
    from unnest(
        $5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[], $10::bigint[], $11::bigint[],
        $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[]
    ) with ordinality as u (
        queue, id, name, payload, nonce, priority, delay, at, attempts, crashes, version, more, n
    )
),
-- Rows are taken in the order of their keys, so that two batches which meet do not deadlock.
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
        select items.*, clock.now, stoker.resolve(clock.now, items.delay, items.at) as run_at
        from clock cross join items
        order by items.queue, items.id, items.n
    ) as i
    cross join lateral stoker.options(i.more::jsonb, i.now) as o
    on conflict (queue, id) do nothing
    returning place
)
select array(select place from inserted), array(select place from items order by n),
    (select count(pg_notify($3::text, hint)) from unnest($4::text[]) as hint)
