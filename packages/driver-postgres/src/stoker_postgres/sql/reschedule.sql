-- Move pending jobs. A ready one that stays ready keeps its place.
-- $1 now or null, $2 and $3 queues and ids, $4 and $5 when (a delay or a time), $6 the channel.
-- Locked rows are skipped. Answers number and state, before and after, of the others.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
),
target as materialized (
    select clock.now, stoker.resolve(clock.now, $4::bigint, $5::bigint) as run_at from clock
),
found as materialized (
    select i.n, i.queue, j.spot, j.state,
        case when t.run_at <= t.now then 'ready' else 'scheduled' end as goes_to, t.now, t.run_at
    from target as t
    cross join unnest($2::text[], $3::text[]) with ordinality as i (queue, id, n)
    cross join lateral (
        select r.ctid as spot, r.state from stoker.jobs as r
        where r.queue = i.queue and r.id = i.id
        limit 1
        for update skip locked
    ) as j
    cross join lateral (select from stoker.jobs as s where s.ctid = j.spot limit 1) as seen
),
moved as (
    update stoker.jobs as j
    set run_at = f.run_at,
        state = f.goes_to,
        ready_at = case
            when f.goes_to = 'ready' and f.state <> 'ready' then f.now else j.ready_at
        end,
        place = case
            when f.goes_to = 'ready' and f.state <> 'ready' then nextval('stoker.places')
            else j.place
        end
    from found as f
    where j.ctid = f.spot and f.state in ('scheduled', 'ready')
),
hinted as materialized (
    select count(pg_notify($6::text, 'W' || q.queue))
    from (select distinct queue from found where state in ('scheduled', 'ready')) as q
)
select f.n, f.state, f.goes_to from found as f cross join hinted
