-- Complete runs that report neither progress nor logs: what nearly every settlement is.
-- $1 now or null, $2 to $5 queues, ids, epochs and results, $6 how long the transaction may be idle
-- from here on, or null. Answers the number of each that was valid.
-- Only a running job has `expires_at`. To ask for its state would let the planner use the index of
-- running jobs, which has no ids, and read all of a queue's for each item.
-- What a job wants kept never changes, so each row is found by one of the two and, if another
-- transaction holds it, waited for.
with clock as materialized (
    select
        coalesce(stoker.instant($1::bigint), clock_timestamp()) as now,
        case
            when $6::text is not null
            then set_config('idle_in_transaction_session_timeout', $6, true)
        end as patience
),
items as materialized (
    select i.*
    from clock
    cross join unnest($2::text[], $3::text[], $4::bigint[], $5::bytea[]) with ordinality
        as i (queue, id, epoch, result, n)
),
removed as (
    delete from stoker.jobs as j
    using items as i
    where j.queue = i.queue and j.id = i.id and j.epoch = i.epoch and j.expires_at is not null
        and j.keep_completed = interval '0'
    returning i.n
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
        result = i.result
    from items as i
    where j.queue = i.queue and j.id = i.id and j.epoch = i.epoch and j.expires_at is not null
        and j.keep_completed is distinct from interval '0'
    returning i.n
)
select n from removed union all select n from kept
