-- Ids of jobs of a queue whose lease has expired, as a JSON array.
select json_group_array(id) from (
    select id from stoker_jobs indexed by stoker_jobs_running
    where queue = :queue and state = 'running' and expires_at <= :now
    order by expires_at
    limit :limit
)
