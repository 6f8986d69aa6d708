-- Who has these ids: queue, id and nonce of each that exists.
select j.queue, j.id, j.nonce
from unnest($1::text[], $2::text[]) as i (queue, id)
cross join lateral (
    select r.queue, r.id, r.nonce from stoker.jobs as r where r.queue = i.queue and r.id = i.id limit 1
) as j
