-- How full queues ($2) are: jobs by state, up to $3 each (running: all), for how long a job has been
-- ready, and whether the queue is paused. Each count is a walk over one partial index: it is in the
-- order of that index, so that no planner takes the table instead to be done sooner.
select q.queue,
    (select count(*) from (
        select from stoker.jobs as j
        where j.queue = q.queue and j.state = 'scheduled'
        order by j.run_at limit $3::bigint
    ) as c),
    (select count(*) from (
        select from stoker.jobs as j
        where j.queue = q.queue and j.state = 'ready'
        order by j.priority desc, j.place limit $3::bigint
    ) as c),
    (select count(*) from stoker.jobs as j where j.queue = q.queue and j.state = 'running'),
    e.completed, e.failed, e.cancelled,
    stoker.micros(coalesce(stoker.instant($1::bigint), clock_timestamp())) - stoker.micros((
        select min(first.ready_at)
        from generate_series(0, 9) as p (priority)
        cross join lateral (
            select j.ready_at from stoker.jobs as j
            where j.queue = q.queue and j.state = 'ready' and j.priority = p.priority::smallint
            order by j.place
            limit 1
        ) as first
    )),
    (select count(*) from stoker.pauses as p where p.queue = q.queue)
from unnest($2::text[]) as q (queue)
cross join lateral (
    select
        max(c.jobs) filter (where s.state = 'completed') as completed,
        max(c.jobs) filter (where s.state = 'failed') as failed,
        max(c.jobs) filter (where s.state = 'cancelled') as cancelled
    from unnest(array['completed', 'failed', 'cancelled']) as s (state)
    cross join lateral (
        select count(*) as jobs from (
            (select from stoker.jobs as j
            where j.queue = q.queue and j.state = s.state
                and j.finished_at is not null and j.keep_until is null
            order by j.finished_at limit $3::bigint)
            union all
            (select from stoker.jobs as j
            where j.queue = q.queue and j.state = s.state and j.keep_until is not null
            order by j.keep_until limit $3::bigint)
        ) as ended
    ) as c
) as e
