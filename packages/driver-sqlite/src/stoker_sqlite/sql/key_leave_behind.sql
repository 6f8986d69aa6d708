-- Forget who held the unique keys, held until a time, of jobs (a JSON array) that are deleted.
-- No job has an empty id.
update stoker_keys set id = ''
where expires_at is not null and (queue, key, id) in (
    select queue, unique_key, id from stoker_jobs
    where job in (select value from json_each(:jobs)) and unique_key is not null
)
