-- What became of leases that were not valid: number, whether the epoch is the record's, state, and
-- what ended the last lease. $1 to $3 queues, ids and epochs.
select i.n, (j.epoch = i.epoch)::integer::bigint, j.state, j.settled_as, j.settled_to
from unnest($1::text[], $2::text[], $3::bigint[]) with ordinality as i (queue, id, epoch, n)
cross join lateral (
    select r.epoch, r.state, r.settled_as, r.settled_to from stoker.jobs as r where r.queue = i.queue and r.id = i.id limit 1
) as j
