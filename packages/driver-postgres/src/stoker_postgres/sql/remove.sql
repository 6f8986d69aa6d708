-- Delete jobs in any state, with their unique keys. $1 and $2 queues and ids. Locked rows are
-- skipped. Answers the number of each that was deleted.
with found as materialized (
    select i.n, j.queue, j.id, j.unique_key
    from unnest($1::text[], $2::text[]) with ordinality as i (queue, id, n)
    join stoker.jobs as j on j.queue = i.queue and j.id = i.id
    for update of j skip locked
),
freed as (
    delete from stoker.keys as k
    using found as f
    where k.queue = f.queue and k.key = f.unique_key and k.id = f.id
        and k.expires_at is not null  -- the others are freed by a trigger
)
delete from stoker.jobs as j
using found as f
where j.queue = f.queue and j.id = f.id
returning f.n
