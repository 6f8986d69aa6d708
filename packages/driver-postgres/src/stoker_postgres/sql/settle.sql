-- End leases, each with its outcome.
-- $1 now or null, $2 the channel, $3 to $5 queues, ids and epochs, $6 what is asked for (complete,
-- retry, fail, release, park, snooze or cancel), $7 and $8 when (a delay or a time), $9 results,
-- $10 errors, $11 reasons, $12 progress, $13 and $14 the number of the settlement and the body of
-- each log entry. Answers number and state of each that was valid.
-- Rows are locked first, in the order of their keys. One that another transaction has changed
-- meanwhile is not answered: this statement cannot see what it has become, the next one can.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
),
valid as materialized (
    select i.*, j.*
    from (
        select * from unnest(
            $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[],
            $9::bytea[], $10::bytea[], $11::text[], $12::bytea[]
        ) with ordinality
            as u (queue, id, epoch, kind, delay, at, result, error, reason, progress, n)
        order by u.queue, u.id
    ) as i
    cross join lateral (
        select r.ctid as spot, r.attempt, r.max_attempts, r.cancel_reason, r.keep_completed,
            r.keep_failed, r.keep_cancelled
        from stoker.jobs as r
        where r.queue = i.queue and r.id = i.id and r.epoch = i.epoch and r.expires_at is not null
        limit 1
        for update
    ) as j
    cross join lateral (select from stoker.jobs as s where s.ctid = j.spot limit 1) as seen
),
decided as materialized (
    select v.*, clock.now, stoker.resolve(clock.now, v.delay, v.at) as run_at,
        case
            when v.kind = 'complete' then 'completed'
            when v.kind = 'fail' then 'failed'
            when v.kind = 'cancel' or v.cancel_reason is not null then 'cancelled'
            when v.kind = 'retry' and v.attempt >= v.max_attempts then 'failed'
            when stoker.resolve(clock.now, v.delay, v.at) <= clock.now then 'ready'
            else 'scheduled'
        end as state
    from valid as v cross join clock
),
ends as materialized (
    select d.*, d.state not in ('ready', 'scheduled') as finished, l.entries,
        case d.state
            when 'completed' then d.keep_completed
            when 'failed' then d.keep_failed
            when 'cancelled' then d.keep_cancelled
        end as keep
    from decided as d
    left join (
        select e.n, count(*) as entries
        from unnest($13::bigint[], $14::bytea[]) as e (n, body)
        group by e.n
    ) as l on l.n = d.n
),
removed as (
    delete from stoker.jobs as j
    using ends as e
    where j.ctid = e.spot and e.keep = interval '0'
),
changed as (
    update stoker.jobs as j
    set state = e.state,
        run_at = case when e.finished then j.run_at else e.run_at end,
        place = case when e.state = 'ready' then nextval('stoker.places') else j.place end,
        ready_at = case when e.state = 'ready' then e.now else j.ready_at end,
        finished_at = case when e.finished then e.now end,
        keep_until = e.now + e.keep,
        expires_at = null,
        attempt = j.attempt - (e.kind in ('release', 'park', 'snooze'))::integer,
        snoozes = j.snoozes + (e.kind = 'snooze')::integer,
        parked_since = case when e.kind = 'park' then coalesce(j.parked_since, e.now) end,
        settled_as = case e.kind when 'park' then 'release' else e.kind end,
        settled_to = e.state,
        cancel_reason = case
            when e.kind = 'cancel' then e.reason
            when e.state = 'cancelled' then j.cancel_reason
        end,
        errors = case
            when e.error is null then j.errors
            else (j.errors || e.error)[greatest(1, coalesce(cardinality(j.errors), 0) - 8):]
        end,
        result = e.result,
        progress = coalesce(e.progress, j.progress),
        logged = j.logged or e.entries is not null
    from ends as e
    where j.ctid = e.spot and e.keep is distinct from interval '0'
),
trimmed as (
    delete from stoker.logs as l
    using ends as e
    where e.entries is not null and l.queue = e.queue and l.id = e.id and l.number <= (
        select o.number from stoker.logs as o
        where o.queue = e.queue and o.id = e.id
        order by o.number desc
        limit 1 offset 100 - e.entries
    )
),
written as (
    insert into stoker.logs (queue, id, body)
    select e.queue, e.id, l.body
    from unnest($13::bigint[], $14::bytea[]) with ordinality as l (n, body, place)
    join ends as e on e.n = l.n and e.keep is distinct from interval '0'
    order by l.place
),
hinted as materialized (
    select count(pg_notify($2::text, 'W' || q.queue))
    from (select distinct queue from ends where not finished) as q
)
select e.n, e.state from ends as e cross join hinted
