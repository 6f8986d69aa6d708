-- Make scheduled jobs (a JSON array) ready, at places of their own.
update stoker_jobs
set state = 'ready', ready_at = :now, place = :place + e.key
from json_each(:jobs) as e
where stoker_jobs.job = e.value
