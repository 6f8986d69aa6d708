-- Insert one job, unless its id exists.
insert or ignore into stoker_jobs (
    queue, id, state, priority, place, run_at, max_attempts, max_crashes, enqueued_at, ready_at,
    name, payload, payload_version, expires, timeout, keep_completed, keep_failed, keep_cancelled,
    unique_key, unique_until, tags, metadata, headers, nonce
)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
