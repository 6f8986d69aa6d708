-- Delete jobs in any state, with their unique keys. $1 and $2 queues and ids. Locked rows are
-- skipped. Answers the number of each that was deleted.
with found as materialized (
    select i.n, i.queue, i.id, j.spot, j.unique_key
    from unnest($1::text[], $2::text[]) with ordinality as i (queue, id, n)
    cross join lateral (
        select r.ctid as spot, r.unique_key from stoker.jobs as r
        where r.queue = i.queue and r.id = i.id
        limit 1
        for update skip locked
    ) as j
    cross join lateral (select from stoker.jobs as s where s.ctid = j.spot limit 1) as seen
),
freed as (
    delete from stoker.keys as k
    using found as f
    where k.queue = f.queue and k.key = f.unique_key and k.id = f.id
        and k.expires_at is not null  -- the others are freed by a trigger
)
delete from stoker.jobs as j
using found as f
where j.ctid = f.spot
returning f.n
