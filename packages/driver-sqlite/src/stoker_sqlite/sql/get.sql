-- Whole records of a queue, by id (a JSON array).
select j.job, j.queue, j.id, j.name, j.state, j.payload, j.payload_version, j.priority, j.epoch,
    j.attempt, j.max_attempts, j.crashes, j.max_crashes, j.snoozes, j.parked_since, j.enqueued_at,
    j.run_at, j.ready_at, j.claimed_at, j.expires_at, j.finished_at, j.expires, j.timeout,
    j.keep_completed, j.keep_failed, j.keep_cancelled, j.unique_key, j.worker, j.cancel_reason,
    j.result, j.tags, j.metadata, j.headers
from json_each(:ids) as e
cross join stoker_jobs as j on j.queue = :queue and j.id = e.value
