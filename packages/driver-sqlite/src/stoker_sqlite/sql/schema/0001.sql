-- Version 1: all tables. Times are microseconds since 1970 in UTC, spans are microseconds.

-- The version of all that is called stoker_*: one row, which says how many migrations were applied.
create table stoker_schema (
    version integer not null
) strict;

insert into stoker_schema (version) values (0);

-- One row for every queue that was ever used. Nothing in it is ever counted down: `epoch` fences
-- leases, `place` orders ready jobs, `work` and `cancels` count the hints given to waiting workers,
-- and no schedule begins at a version that a removed one has had.
create table stoker_queues (
    queue text primary key,
    epoch integer not null default 0,
    place integer not null default 0,
    work integer not null default 0,
    cancels integer not null default 0,
    removed_version integer not null default 0,
    paused integer not null default 0
) strict, without rowid;

-- One row a job. Claims and settlements rewrite the row, so what is large or rare is an attachment.
create table stoker_jobs (
    job integer primary key,
    queue text not null,
    id text not null,
    state text not null,
    priority integer not null,
    place integer not null,
    run_at integer not null,
    epoch integer not null default 0,
    attempt integer not null default 0,
    max_attempts integer not null,
    crashes integer not null default 0,
    max_crashes integer not null,
    snoozes integer not null default 0,
    enqueued_at integer not null,
    ready_at integer,
    claimed_at integer,
    expires_at integer,
    finished_at integer,
    keep_until integer,
    parked_since integer,
    worker text,
    settled_as text,
    settled_to text,
    cancel_reason text,
    name text not null,
    payload text,
    payload_version integer not null,
    expires integer,
    timeout integer,
    keep_completed integer,
    keep_failed integer,
    keep_cancelled integer,
    unique_key text,
    unique_until text,
    tags text,
    metadata text,
    headers text,
    nonce text,
    result blob
) strict;

create unique index stoker_jobs_key on stoker_jobs (queue, id);

create index stoker_jobs_ready on stoker_jobs (queue, priority desc, place)
where state = 'ready';

create index stoker_jobs_scheduled on stoker_jobs (queue, run_at)
where state = 'scheduled';

create index stoker_jobs_running on stoker_jobs (queue, expires_at)
where state = 'running';

create index stoker_jobs_ended on stoker_jobs (queue, state, keep_until, finished_at)
where finished_at is not null;

-- Errors, log entries, progress, and payloads too large for the row of the job.
create table stoker_attachments (
    attachment integer primary key,
    job integer not null,
    kind text not null,
    body blob not null
) strict;

create index stoker_attachments_job on stoker_attachments (job, kind);

-- A trigger, because whatever deletes a job has to take these along, a user's connection too.
create trigger stoker_jobs_removed after delete on stoker_jobs
begin
    delete from stoker_attachments where job = old.job;
end;

-- Who holds a unique key. Without `expires_at` it is held until its job starts or ends.
create table stoker_keys (
    queue text not null,
    key text not null,
    id text not null,
    expires_at integer,
    primary key (queue, key)
) strict, without rowid;

create index stoker_keys_expiring on stoker_keys (queue, expires_at)
where expires_at is not null;

create table stoker_schedules (
    queue text not null,
    name text not null,
    definition blob not null,
    next_at integer,
    last_at integer,
    count integer not null default 0,
    version integer not null default 1,
    primary key (queue, name)
) strict, without rowid;

create table stoker_workers (
    worker text primary key,
    queues text not null,
    info blob not null,
    since integer not null,
    expires_at integer not null
) strict, without rowid;
