-- End expired leases: up to $3 of each queue ($2), as of now ($1 or the server's clock).
-- $4 delay of those that go on, $5 the error to keep, $6 the channel.
-- Answers each lease as it was when it ended, its worker, and where the job went.
with clock as materialized (
    select coalesce(stoker.instant($1::bigint), clock_timestamp()) as now
),
expired as materialized (
    select x.*
    from unnest($2::text[]) as q (queue)
    cross join lateral (
        select j.*, j.ctid as spot from stoker.jobs as j
        where j.queue = q.queue and j.state = 'running'
            and j.expires_at <= (select now from clock)
        limit $3::bigint
        for update skip locked
    ) as x
    cross join lateral (select from stoker.jobs as s where s.ctid = x.spot limit 1) as seen
),
ends as materialized (
    select d.*,
        case d.goes_to when 'failed' then d.keep_failed when 'cancelled' then d.keep_cancelled end
            as keep
    from (
        select x.*, clock.now, clock.now + $4::bigint * interval '1 microsecond' as again_at,
            case
                when x.crashes + 1 > x.max_crashes then 'failed'
                when x.cancel_reason is not null then 'cancelled'
                when $4::bigint = 0 then 'ready'
                else 'scheduled'
            end as goes_to
        from expired as x cross join clock
    ) as d
),
removed as (
    delete from stoker.jobs as j
    using ends as e
    where j.ctid = e.spot and e.keep = interval '0'
),
changed as (
    update stoker.jobs as j
    set state = e.goes_to,
        run_at = case when e.goes_to in ('ready', 'scheduled') then e.again_at else j.run_at end,
        place = case when e.goes_to = 'ready' then nextval('stoker.places') else j.place end,
        ready_at = case when e.goes_to = 'ready' then e.now else j.ready_at end,
        finished_at = case when e.goes_to in ('failed', 'cancelled') then e.now end,
        keep_until = e.now + e.keep,
        expires_at = null,
        attempt = j.attempt - 1,
        crashes = j.crashes + 1,
        settled_as = null,
        settled_to = null,
        cancel_reason = case when e.goes_to = 'cancelled' then j.cancel_reason end,
        errors = (j.errors || $5::bytea)[greatest(1, coalesce(cardinality(j.errors), 0) - 8):]
    from ends as e
    where j.ctid = e.spot and e.keep is distinct from interval '0'
),
hinted as materialized (
    select count(pg_notify($6::text, 'W' || q.queue))
    from (select distinct queue from ends where goes_to in ('ready', 'scheduled')) as q
)
select e.worker, e.goes_to,
    e.queue, e.id, e.epoch, e.name, e.payload, e.payload_version::bigint, e.priority::bigint,
    e.attempt::bigint, e.max_attempts::bigint, e.crashes::bigint + 1, e.snoozes::bigint,
    stoker.micros(e.parked_since), stoker.micros(e.enqueued_at), stoker.micros(e.run_at),
    stoker.micros(e.claimed_at), stoker.micros(e.expires_at), stoker.micros(e.expires),
    stoker.micros(e.timeout), e.tags, e.metadata::text, e.headers
from ends as e cross join hinted
