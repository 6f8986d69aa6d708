-- Terminal records of one state that are older than the policy keeps, as a JSON array, and how many.
select json_group_array(job), count(*) from (
    select job from stoker_jobs indexed by stoker_jobs_ended
    where queue = :queue and state = :state and keep_until is null and finished_at < :before
    order by finished_at
    limit :limit
)
