-- Delete terminal records of a queue ($2) that nothing keeps, up to $3, as of now ($1 or the
-- server's clock). $4 to $6 state, greatest age and number to keep, by policy. Answers how many.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
),
policies as materialized (
    select * from unnest($4::text[], $5::bigint[], $6::bigint[]) as p (state, age, newest)
),
purged as (
    delete from stoker.jobs as j
    where j.ctid = any(array(
        select d.ctid from stoker.jobs as d
        where d.finished_at is not null and d.ctid = any(array(
            select aged.ctid
            from policies as p
            cross join lateral (
                select a.ctid from stoker.jobs as a
                where a.queue = $2::text and a.state = p.state
                    and a.keep_until <= (select now from clock)
                order by a.keep_until
                limit $3::bigint
            ) as aged
            union all
            select old.ctid
            from policies as p
            cross join lateral (
                select o.ctid from stoker.jobs as o
                where o.queue = $2::text and o.state = p.state and o.keep_until is null
                    and o.finished_at
                        < (select now from clock) - p.age * interval '1 microsecond'
                order by o.finished_at
                limit $3::bigint
            ) as old
            union all
            select surplus.ctid
            from policies as p
            cross join lateral (
                select s.ctid from stoker.jobs as s
                where s.queue = $2::text and s.state = p.state and s.keep_until is null
                    and s.finished_at is not null
                order by s.finished_at desc, s.id desc
                limit $3::bigint offset p.newest
            ) as surplus
            where p.newest is not null
        ))
        limit $3::bigint
        for update skip locked
    ))
    and j.finished_at is not null
    returning 1
)
select count(*) from purged
