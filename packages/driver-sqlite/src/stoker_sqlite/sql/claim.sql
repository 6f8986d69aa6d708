-- Lease jobs (a JSON array), each with an epoch of its own.
update stoker_jobs
set state = 'running',
    epoch = :epoch + 1 + e.key,
    attempt = attempt + 1,
    worker = :worker,
    claimed_at = :now,
    expires_at = :expires_at,
    settled_as = null,
    settled_to = null
from json_each(:jobs) as e
where stoker_jobs.job = e.value
