-- Cancel pending jobs at once, and leave a request for the workers of running ones.
-- $1 now or null, $2 and $3 queues and ids, $4 the reason, $5 the channel. Locked rows are skipped.
-- Answers number and state before, for each job that was not skipped.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
),
found as materialized (
    select i.n, i.queue, j.spot, j.state, j.keep_cancelled = interval '0' as removes
    from unnest($2::text[], $3::text[]) with ordinality as i (queue, id, n)
    cross join lateral (
        select r.ctid as spot, r.state, r.keep_cancelled from stoker.jobs as r
        where r.queue = i.queue and r.id = i.id
        limit 1
        for update skip locked
    ) as j
    cross join lateral (select from stoker.jobs as s where s.ctid = j.spot limit 1) as seen
),
removed as (
    delete from stoker.jobs as j
    using found as f
    where j.ctid = f.spot and f.state in ('scheduled', 'ready') and f.removes
),
ended as (
    update stoker.jobs as j
    set state = case f.state when 'running' then j.state else 'cancelled' end,
        finished_at = case when f.state <> 'running' then clock.now end,
        keep_until = case when f.state <> 'running' then clock.now + j.keep_cancelled end,
        cancel_reason = case f.state
            when 'running' then coalesce(j.cancel_reason, $4::text) else $4::text
        end
    from found as f cross join clock
    where j.ctid = f.spot and (
        f.state = 'running' or (f.state in ('scheduled', 'ready') and f.removes is not true)
    )
),
hinted as materialized (
    select count(pg_notify($5::text, 'C' || q.queue))
    from (select distinct queue from found where state = 'running') as q
)
select f.n, f.state from found as f cross join hinted
