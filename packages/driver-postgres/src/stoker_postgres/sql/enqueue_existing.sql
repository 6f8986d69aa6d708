-- Who has these ids: queue, id and nonce of each that exists.
select j.queue, j.id, j.nonce
from unnest($1::text[], $2::text[]) as i (queue, id)
join stoker.jobs as j on j.queue = i.queue and j.id = i.id
