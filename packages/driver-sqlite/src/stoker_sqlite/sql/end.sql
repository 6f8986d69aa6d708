-- End jobs (a JSON array), all in the same way.
update stoker_jobs
set state = :state,
    finished_at = :now,
    keep_until = :keep_until,
    expires_at = null,
    attempt = :attempt,
    crashes = :crashes,
    snoozes = :snoozes,
    parked_since = :parked_since,
    settled_as = :settled_as,
    settled_to = :settled_to,
    cancel_reason = :cancel_reason,
    result = :result
where job in (select value from json_each(:jobs))
