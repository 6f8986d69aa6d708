-- Move the expiry of valid leases, and keep what their runs report. Locked rows are skipped.
-- $1 now or null, $2 the length of a lease, $3 to $6 queues, ids, epochs and progress of the leases,
-- $7 and $8 the number of the lease and the body of each log entry.
-- Answers number and requested cancel of each lease that was extended.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
),
valid as materialized (
    select i.n, i.queue, i.id, i.progress, j.spot, l.entries
    from unnest($3::text[], $4::text[], $5::bigint[], $6::bytea[]) with ordinality
        as i (queue, id, epoch, progress, n)
    cross join lateral (
        select r.ctid as spot from stoker.jobs as r
        where r.queue = i.queue and r.id = i.id and r.epoch = i.epoch and r.expires_at is not null
        limit 1
        for update skip locked
    ) as j
    cross join lateral (select from stoker.jobs as s where s.ctid = j.spot limit 1) as seen
    left join (
        select e.n, count(*) as entries
        from unnest($7::bigint[], $8::bytea[]) as e (n, body)
        group by e.n
    ) as l on l.n = i.n
),
extended as (
    update stoker.jobs as j
    set expires_at = (select now from clock) + $2::bigint * interval '1 microsecond',
        progress = coalesce(v.progress, j.progress),
        logged = j.logged or v.entries is not null
    from valid as v
    where j.ctid = v.spot
    returning v.n, j.cancel_reason
),
trimmed as (
    delete from stoker.logs as l
    using valid as v
    where v.entries is not null and l.queue = v.queue and l.id = v.id and l.number <= (
        select o.number from stoker.logs as o
        where o.queue = v.queue and o.id = v.id
        order by o.number desc
        limit 1 offset 100 - v.entries
    )
),
written as (
    insert into stoker.logs (queue, id, body)
    select v.queue, v.id, e.body
    from unnest($7::bigint[], $8::bytea[]) with ordinality as e (n, body, place)
    join valid as v on v.n = e.n
    order by e.place
)
select n, cancel_reason from extended
