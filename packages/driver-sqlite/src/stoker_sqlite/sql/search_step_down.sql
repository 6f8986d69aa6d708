-- The last id of the next step of a scan that goes down from `after`.
select id from stoker_jobs
where queue = :queue and id < :after
order by id desc
limit 1 offset :step
