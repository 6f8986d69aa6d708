-- Create a schedule, or replace one that has another definition. $1 now or null, $2 the queue, $3 the
-- name, $4 the definition, $5 and $6 when its next tick is: a delay, or a time that may be past.
insert into stoker.schedules as s (queue, name, definition, next_at, version)
select $2::text, $3::text, $4::bytea,
    coalesce(
        stoker.instant($6::bigint),
        coalesce(stoker.instant($1::bigint), clock_timestamp())
            + $5::bigint * interval '1 microsecond'
    ),
    nextval('stoker.versions')
on conflict (queue, name) do update
set definition = excluded.definition,
    next_at = case
        when s.definition = excluded.definition then s.next_at else excluded.next_at
    end,
    version = case
        when s.definition = excluded.definition then s.version else nextval('stoker.versions')
    end
returning s.queue, s.name, s.definition, stoker.micros(s.next_at), stoker.micros(s.last_at),
    s.count, s.version,
    stoker.micros(coalesce(stoker.instant($1::bigint), clock_timestamp()))
