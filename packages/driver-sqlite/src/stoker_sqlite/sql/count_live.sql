-- How many jobs of a queue are scheduled, ready (both up to `cap`) and running.
select
    (select count(*) from (
        select 1 from stoker_jobs where queue = :queue and state = 'scheduled' limit :cap
    )),
    (select count(*) from (
        select 1 from stoker_jobs where queue = :queue and state = 'ready' limit :cap
    )),
    (select count(*) from stoker_jobs where queue = :queue and state = 'running')
