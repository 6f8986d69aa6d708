-- Terminal records of one state that are as old as their job asked for, as a JSON array, and how many.
select json_group_array(job), count(*) from (
    select job from stoker_jobs indexed by stoker_jobs_ended
    where queue = :queue and state = :state and keep_until <= :now and finished_at is not null
    order by keep_until
    limit :limit
)
