-- Note that a worker ($2) of some queues ($3) is alive for so long ($4), with what it says of itself
-- ($5), as of now ($1 or the server's clock). Forgets others that are not.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
),
forgotten as (
    delete from stoker.workers
    where worker in (
        select w.worker from stoker.workers as w
        where w.expires_at <= (select now from clock) and w.worker <> $2::text
        for update skip locked
    )
)
insert into stoker.workers as w (worker, queues, info, since, expires_at)
select $2::text, $3::text[], $5::bytea, clock.now,
    clock.now + $4::bigint * interval '1 microsecond'
from clock
on conflict (worker) do update
set queues = excluded.queues,
    info = excluded.info,
    since = case when w.expires_at <= excluded.since then excluded.since else w.since end,
    expires_at = excluded.expires_at
