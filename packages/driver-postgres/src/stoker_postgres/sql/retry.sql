-- Let failed and cancelled jobs begin anew: see the function.
-- $1 now or null, $2 and $3 queues and ids, $4 the channel, $5 the hints to give.
with hinted as materialized (
    select count(pg_notify($4::text, hint)) from unnest($5::text[]) as hint
)
select done.number, done.status, done.state, done.existing
from hinted
cross join lateral stoker.retry(
    coalesce(stoker.instant($1::bigint), clock_timestamp()), $2::text[], $3::text[]
) as done
