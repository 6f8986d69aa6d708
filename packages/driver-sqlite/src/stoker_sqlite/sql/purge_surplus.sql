-- Terminal records of one state beyond the newest, as a JSON array, and how many.
select json_group_array(job), count(*) from (
    select job from stoker_jobs indexed by stoker_jobs_ended
    where queue = :queue and state = :state and keep_until is null and finished_at is not null
    order by finished_at desc, id desc
    limit :limit offset :newest
)
