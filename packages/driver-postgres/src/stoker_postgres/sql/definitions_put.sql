-- Keep the definitions of jobs. $1 the prefix of the application's queues, $2 to $8 what the jobs are,
-- an array for each property. Rows that are already so are left alone: workers start all the time.
-- They are taken in the order of their names, so that two workers which start do not deadlock.
insert into stoker.definitions as d (
    prefix, name, queue, priority, max_attempts, max_crashes, payload_version, options, stored_at
)
select $1::text, u.name, u.queue, u.priority, u.attempts, u.crashes, u.version, u.more::jsonb,
    clock_timestamp()
from unnest(
    $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[]
) as u (name, queue, priority, attempts, crashes, version, more)
order by u.name collate "C"
on conflict (prefix, name) do update
set queue = excluded.queue,
    priority = excluded.priority,
    max_attempts = excluded.max_attempts,
    max_crashes = excluded.max_crashes,
    payload_version = excluded.payload_version,
    options = excluded.options,
    stored_at = excluded.stored_at
where (
    d.queue, d.priority, d.max_attempts, d.max_crashes, d.payload_version, d.options
) is distinct from (
    excluded.queue, excluded.priority, excluded.max_attempts, excluded.max_crashes,
    excluded.payload_version, excluded.options
)
