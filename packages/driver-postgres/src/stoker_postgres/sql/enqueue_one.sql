-- Store a job, unless its id exists; it has no unique key. This is enqueue.sql for a batch of one, which
-- costs the server half as much. Parameters as there. Answers a row if the job was inserted.
with clock as materialized (
    select
        coalesce(stoker.instant($1::bigint), clock_timestamp()) as now,
        case when $2::text is not null then set_config('lock_timeout', $2, true) end as patience,
        case when $4::text is not null then pg_notify($3::text, $4) end as hint
)
insert into stoker.jobs (
    queue, id, name, payload, payload_version, nonce, priority, place, max_attempts, max_crashes,
    enqueued_at, run_at, state, ready_at, expires, timeout, keep_completed, keep_failed,
    keep_cancelled, tags, metadata, headers
)
select $5, $6, $7, ($8::bytea[])[1], $15::text::bigint, nullif(coalesce($9, $6), ''),
    $10::text::bigint, nextval('stoker.places'), $13::text::bigint, $14::text::bigint, i.now, i.run_at,
    case when i.run_at <= i.now then 'ready' else 'scheduled' end,
    case when i.run_at <= i.now then i.now end,
    o.expires, o.timeout, o.keep_completed, o.keep_failed, o.keep_cancelled, o.tags, o.metadata,
    o.headers
from (
    select clock.now,
        stoker.resolve(clock.now, nullif($11, '')::bigint, nullif($12, '')::bigint) as run_at
    from clock
) as i
cross join lateral stoker.options(nullif($16, '')::jsonb, i.now) as o
on conflict (queue, id) do nothing
returning place
