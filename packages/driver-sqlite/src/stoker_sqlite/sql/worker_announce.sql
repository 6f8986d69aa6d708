-- Note that a worker is alive.
insert into stoker_workers (worker, queues, info, since, expires_at)
values (:worker, :queues, :info, :now, :expires_at)
on conflict (worker) do update
set queues = excluded.queues, info = excluded.info, expires_at = excluded.expires_at
