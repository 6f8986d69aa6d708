-- Every queue that holds a job, a schedule or a pause. The queues of jobs are found one after the
-- other in the primary key, so it costs as much as there are queues, not jobs.
with recursive used as (
    (select queue from stoker.jobs order by queue limit 1)
    union all
    select (select j.queue from stoker.jobs as j where j.queue > used.queue order by j.queue limit 1)
    from used
    where used.queue is not null
)
select queue from used where queue is not null
union select queue from stoker.schedules
union select queue from stoker.pauses
order by 1
