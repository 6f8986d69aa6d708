-- Time to the earliest scheduled job of these queues ($2), from now ($1 or the server's clock).
select stoker.micros(min(next.run_at))
    - stoker.micros(coalesce(stoker.instant($1::bigint), clock_timestamp()))
from unnest($2::text[]) as q (queue)
cross join lateral (
    select s.run_at from stoker.jobs as s
    where s.queue = q.queue and s.state = 'scheduled'
    order by s.run_at
    limit 1
) as next
