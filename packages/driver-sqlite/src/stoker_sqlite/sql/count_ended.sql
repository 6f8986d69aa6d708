-- How many jobs of a queue ended in a state, up to `cap`.
select count(*) from (
    select 1 from stoker_jobs
    where queue = :queue and state = :state and finished_at is not null
    limit :cap
)
