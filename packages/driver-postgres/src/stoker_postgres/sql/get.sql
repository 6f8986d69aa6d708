-- Whole records, by queue ($1) and id ($2).
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
from unnest($1::text[], $2::text[]) as i (queue, id)
cross join lateral (
    select r.* from stoker.jobs as r where r.queue = i.queue and r.id = i.id limit 1
) as j
