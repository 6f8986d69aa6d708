-- A schedule by queue ($2) and name ($3), locked, and the time ($1 or the server's clock).
select s.queue, s.name, s.definition, stoker.micros(s.next_at), stoker.micros(s.last_at),
    s.count, s.version,
    stoker.micros(coalesce(stoker.instant($1::bigint), clock_timestamp()))
from stoker.schedules as s
where s.queue = $2::text and s.name = $3::text
for update
