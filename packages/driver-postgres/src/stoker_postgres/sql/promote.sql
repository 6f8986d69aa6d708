-- Make due scheduled jobs ready: up to $3 of each queue ($2), as of now ($1 or the server's clock).
-- $4 is the channel. Answers how many. No index serves the guard `state || ''`: see `claim.sql`.
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
hinted as materialized (
    select count(pg_notify($4::text, 'W' || q.queue))
    from (select distinct queue from promoted) as q
)
select count(*) from promoted cross join hinted
