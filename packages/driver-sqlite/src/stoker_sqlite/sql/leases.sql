-- All that a lease says of each of these jobs (a JSON array), and who holds it.
select json_group_array(json_array(
    j.job, j.queue, j.id, j.epoch, j.name, j.payload, j.payload_version, j.priority, j.attempt,
    j.max_attempts, j.crashes, j.snoozes, j.parked_since, j.enqueued_at, j.run_at, j.claimed_at,
    j.expires_at, j.expires, j.timeout, json(j.tags), json(j.metadata), json(j.headers), j.worker,
    j.unique_key, j.unique_until
))
from json_each(:jobs) as e
cross join stoker_jobs as j on j.job = e.value
