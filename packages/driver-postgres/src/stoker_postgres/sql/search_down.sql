-- Jobs of a queue ($1) that match every filter given, newest id first. $2 is where to go on, $3 how many
-- ids are looked at, so that no search holds the server for long, and $4 how many are answered.
-- Filters: $5 states, $6 names, $7 ids, $8 tags, $9 metadata, $10 and $11 enqueued from and to.
-- Answers the last id that was looked at if there may be more beyond, and a record; one row with
-- no record if nothing matched.
-- The planner is not to know how many ids are looked at: of a queue that was never analysed it would
-- rather collect and sort all.
with step as materialized (
    select s.id,
        ($5::text[] is null or s.state = any($5))
        and ($6::text[] is null or s.name = any($6))
        and ($7::text[] is null or s.id = any($7))
        and ($8::text[] is null or s.tags @> $8)
        and ($9::text is null or s.metadata @> $9::jsonb)
        and ($10::bigint is null or s.enqueued_at >= stoker.instant($10))
        and ($11::bigint is null or s.enqueued_at < stoker.instant($11)) as matches
    from stoker.jobs as s
    where s.queue = $1::text and ($2::text is null or s.id < $2)
    order by s.id desc
    limit (select $3::bigint)
),
page as materialized (
    select id from step where matches order by id desc limit $4::bigint
),
last as (
    select case when count(*) = $3::bigint then min(id) end as id from step
)
select (select id from last), record.*
from (select) as always
left join lateral (
    select j.queue, j.id, j.name, j.state, j.payload, j.payload_version::bigint, j.priority::bigint,
        j.epoch, j.attempt::bigint, j.max_attempts::bigint, j.crashes::bigint, j.max_crashes::bigint,
        j.snoozes::bigint, stoker.micros(j.parked_since), stoker.micros(j.enqueued_at),
        stoker.micros(j.run_at), stoker.micros(j.ready_at), stoker.micros(j.claimed_at),
        stoker.micros(j.expires_at), stoker.micros(j.finished_at), stoker.micros(j.expires),
        stoker.micros(j.timeout), stoker.micros(j.keep_completed), stoker.micros(j.keep_failed),
        stoker.micros(j.keep_cancelled), j.unique_key, j.worker, j.cancel_reason, j.errors, j.result,
        j.progress, j.tags, j.metadata::text, j.headers,
        case when j.logged then array(
            select newest.body from (
                select l.number, l.body from stoker.logs as l
                where l.queue = j.queue and l.id = j.id
                order by l.number desc
                limit 100
            ) as newest
            order by newest.number
        ) end
    from page
    cross join lateral (
        select r.* from stoker.jobs as r where r.queue = $1::text and r.id = page.id limit 1
    ) as j
) as record (
    queue, id, name, state, payload, payload_version, priority, epoch, attempt, max_attempts,
    crashes, max_crashes, snoozes, parked_since, enqueued_at, run_at, ready_at, claimed_at,
    expires_at, finished_at, expires, timeout, keep_completed, keep_failed, keep_cancelled,
    unique_key, worker, cancel_reason, errors, result, progress, tags, metadata, headers, logs
) on true
order by record.id desc
