-- The workers that are alive, by name, as of now ($1 or the server's clock).
select w.worker, w.queues, w.info, stoker.micros(w.since), stoker.micros(w.expires_at)
from stoker.workers as w
where w.expires_at > (select coalesce(stoker.instant($1::bigint), clock_timestamp()))
order by w.worker
