-- Store jobs of which some have a unique key: see the function. $1 to $4 as in enqueue.sql, and an
-- array for each property.
-- Answers number, status and the holder of the key for each job that was not inserted.
with clock as materialized (
    select
        coalesce(stoker.instant($1::bigint), clock_timestamp()) as now,
        case when $2::text is not null then set_config('lock_timeout', $2, true) end as patience
),
hinted as materialized (
    select count(pg_notify($3::text, hint)) from unnest(string_to_array($4, E'\n')) as hint
)
select done.number, done.status, done.existing
from clock
cross join hinted
cross join lateral stoker.enqueue_unique(
    clock.now, $5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[], $10::bigint[],
    $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[]
) as done
