-- Make due scheduled jobs ready: up to $3 of each queue ($2), as of now ($1 or the server's clock).
-- $4 is the channel. Answers how many, and the time to the earliest that is left.
-- No index serves the guard `state || ''`: see `claim.sql`.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
),
promoted as (
    update stoker.jobs as j
    set state = 'ready', ready_at = (select now from clock), place = nextval('stoker.places')
    where j.ctid = any(array(
        select due.ctid
        from unnest($2::text[]) as q (queue)
        cross join lateral (
            select s.ctid from stoker.jobs as s
            where s.queue = q.queue and s.state = 'scheduled'
                and s.run_at <= (select now from clock)
            order by s.run_at
            limit $3::bigint
            for update skip locked
        ) as due
    ))
    and j.state || '' = 'scheduled'
    returning j.queue
),
moved as materialized (
    select queue, count(*) as jobs from promoted group by queue
),
-- This statement still sees what it has promoted as scheduled: the first of each queue. As many are
-- passed by; if it had to leave one to another transaction, the next one is due as well.
remaining as materialized (
    select min(next.run_at) as earliest
    from unnest($2::text[]) as q (queue)
    cross join lateral (
        select o.run_at from stoker.jobs as o
        where o.queue = q.queue and o.state = 'scheduled'
        order by o.run_at
        limit 1 offset (select sum(m.jobs) from moved as m where m.queue = q.queue)
    ) as next
),
hinted as materialized (
    select count(pg_notify($4::text, 'W' || queue)) from moved
)
select (select coalesce(sum(jobs), 0)::bigint from moved),
    stoker.micros(remaining.earliest) - stoker.micros(clock.now)
from clock cross join remaining cross join hinted
