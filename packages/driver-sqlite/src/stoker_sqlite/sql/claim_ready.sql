-- The first ready jobs of a queue, as a JSON array, and how many.
select json_group_array(job), count(*) from (
    select job from stoker_jobs indexed by stoker_jobs_ready
    where queue = :queue and state = 'ready'
    order by priority desc, place
    limit :limit
)
