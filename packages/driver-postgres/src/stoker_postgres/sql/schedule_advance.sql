-- Advance a schedule ($1 queue, $2 name) past the tick that is due; $3 is the next one, or null.
update stoker.schedules as s
set last_at = s.next_at,
    next_at = stoker.instant($3::bigint),
    count = s.count + 1,
    version = nextval('stoker.versions')
where s.queue = $1::text and s.name = $2::text
returning s.queue, s.name, s.definition, stoker.micros(s.next_at), stoker.micros(s.last_at),
    s.count, s.version
