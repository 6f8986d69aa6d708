-- Due jobs of a queue, as a JSON array, and how many.
select json_group_array(job), count(*) from (
    select job from stoker_jobs indexed by stoker_jobs_scheduled
    where queue = :queue and state = 'scheduled' and run_at <= :now
    order by run_at
    limit :limit
)
