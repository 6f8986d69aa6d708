-- Complete runs that report neither progress nor logs: what nearly every settlement is.
-- $1 now or null, $2 to $5 queues, ids, epochs and results, $6 how long the transaction may be idle
-- from here on, or null. Answers the number of each that was valid.
-- Only a running job has `expires_at`. To ask for its state would let the planner use the index of
-- running jobs, which has no ids, and read all of a queue's for each item.
-- What a job wants kept never changes, so each row is changed by one of the two and, if another
-- transaction holds it, waited for. One that has changed meanwhile is not always answered.
with clock as materialized (
    select
        coalesce(stoker.instant($1::bigint), clock_timestamp()) as now,
        case
            when $6::text is not null
            then set_config('idle_in_transaction_session_timeout', $6, true)
        end as patience
),
found as materialized (
    select i.*, j.spot, j.keep_completed
    from clock
    cross join (
        select * from unnest($2::text[], $3::text[], $4::bigint[], $5::bytea[]) with ordinality
            as u (queue, id, epoch, result, n)
        order by u.queue, u.id
    ) as i
    cross join lateral (
        select r.ctid as spot, r.keep_completed from stoker.jobs as r
        where r.queue = i.queue and r.id = i.id and r.epoch = i.epoch and r.expires_at is not null
        limit 1
    ) as j
),
removed as (
    delete from stoker.jobs as j
    using found as f
    where j.ctid = f.spot and j.epoch = f.epoch and j.expires_at is not null
        and f.keep_completed = interval '0'
    returning f.n
),
kept as (
    update stoker.jobs as j
    set state = 'completed',
        finished_at = (select now from clock),
        keep_until = (select now from clock) + j.keep_completed,
        expires_at = null,
        parked_since = null,
        settled_as = 'complete',
        settled_to = 'completed',
        cancel_reason = null,
        result = f.result
    from found as f
    where j.ctid = f.spot and j.epoch = f.epoch and j.expires_at is not null
        and f.keep_completed is distinct from interval '0'
    returning f.n
)
select n from removed union all select n from kept
