-- Let jobs (a JSON array) wait for a run, all in the same way, at places of their own.
update stoker_jobs
set state = :state,
    run_at = :run_at,
    place = :place + e.key,
    ready_at = case :state when 'ready' then :now else ready_at end,
    finished_at = null,
    keep_until = null,
    expires_at = null,
    attempt = :attempt,
    crashes = :crashes,
    snoozes = :snoozes,
    parked_since = :parked_since,
    settled_as = :settled_as,
    settled_to = :settled_to,
    cancel_reason = :cancel_reason,
    result = null
from json_each(:jobs) as e
where stoker_jobs.job = e.value
