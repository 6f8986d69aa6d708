-- The state of each job that exists, by queue ($1) and id ($2).
select i.n, j.state
from unnest($1::text[], $2::text[]) with ordinality as i (queue, id, n)
cross join lateral (
    select r.state from stoker.jobs as r where r.queue = i.queue and r.id = i.id limit 1
) as j
