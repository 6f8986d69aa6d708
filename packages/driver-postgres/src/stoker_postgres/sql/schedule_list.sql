-- The schedules of some queues ($2), by queue and name, and the time ($1 or the server's clock).
-- The first column is the time; a row without a schedule if there is none.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
)
select stoker.micros(clock.now),
    s.queue, s.name, s.definition, stoker.micros(s.next_at), stoker.micros(s.last_at),
    s.count, s.version
from clock
left join stoker.schedules as s on s.queue = any($2::text[])
order by s.queue, s.name
