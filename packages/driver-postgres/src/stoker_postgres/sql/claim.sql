-- Lease the first ready jobs of each queue that is not paused.
-- $1 now or null, $2 the queues, $3 how many of each, $4 the worker, $5 the length of a lease.
-- Answers a row for each lease, with the time to the earliest scheduled job; one row of nulls if
-- there is no lease. The rows are found by their place in the table: joined back by key they would
-- cost three times as much. No index serves the guard `state || ''`: by `state` alone a plan that was
-- made for an empty store reads the index of all ready jobs, and looks for each among the places.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
),
-- What is the same for all leases is made into numbers once.
told as materialized (
    select micros as claimed_at, micros + $5::bigint as expires_at
    from stoker.micros((select now from clock)) as micros
),
taken as (
    update stoker.jobs as j
    set state = 'running',
        epoch = nextval('stoker.epochs'),
        attempt = j.attempt + 1,
        worker = $4::text,
        claimed_at = (select now from clock),
        expires_at = (select now from clock) + $5::bigint * interval '1 microsecond',
        settled_as = null,
        settled_to = null
    where j.ctid = any(array(
        select ready.ctid
        from unnest($2::text[], $3::bigint[]) as w (queue, most)
        cross join lateral (
            select r.ctid from stoker.jobs as r
            where r.queue = w.queue and r.state = 'ready'
            order by r.priority desc, r.place
            limit w.most
            for update skip locked
        ) as ready
        where not exists (select from stoker.pauses as p where p.queue = w.queue)
    ))
    and j.state || '' = 'ready'
    -- Not all: each column is copied twice on its way to the answer.
    returning j.queue, j.id, j.epoch, j.name, j.payload, j.payload_version, j.priority, j.attempt,
        j.max_attempts, j.crashes, j.snoozes, j.parked_since, j.enqueued_at, j.run_at, j.expires,
        j.timeout, j.tags, j.metadata, j.headers
),
-- Only a claim that came short needs to know when there will be more.
due as materialized (
    select case
        when (select count(*) from taken) < (select sum(most) from unnest($3::bigint[]) as most)
        then (
            select stoker.micros(min(next.run_at)) - (select claimed_at from told)
            from unnest($2::text[]) as q (queue)
            cross join lateral (
                select s.run_at from stoker.jobs as s
                where s.queue = q.queue and s.state = 'scheduled'
                order by s.run_at
                limit 1
            ) as next
        )
    end as due_in
)
select due.due_in,
    t.queue, t.id, t.epoch, t.name, t.payload, t.payload_version::bigint, t.priority::bigint,
    t.attempt::bigint, t.max_attempts::bigint, t.crashes::bigint, t.snoozes::bigint,
    stoker.micros(t.parked_since), stoker.micros(t.enqueued_at), stoker.micros(t.run_at),
    told.claimed_at, told.expires_at, stoker.micros(t.expires),
    stoker.micros(t.timeout), t.tags, t.metadata::text, t.headers
from told cross join due left join taken as t on true
