-- When the earliest scheduled job of these queues (a JSON array) is due.
select min(earliest) from (
    select (
        select min(run_at) from stoker_jobs
        where queue = e.value and state = 'scheduled'
    ) as earliest
    from json_each(:queues) as e
)
