select worker, queues, info, since, expires_at from stoker_workers
where expires_at > :now
order by worker
