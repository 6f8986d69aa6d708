-- Since when the job that has been ready for longest is ready: the first of some priority.
with recursive priorities (priority) as (
    select 0
    union all
    select priority + 1 from priorities where priority < 9
)
select min(since) from (
    select (
        select ready_at from stoker_jobs
        where queue = :queue and state = 'ready' and priority = priorities.priority
        order by place
        limit 1
    ) as since
    from priorities
)
