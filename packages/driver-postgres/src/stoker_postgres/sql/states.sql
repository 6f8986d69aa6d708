-- The state of each job that exists, by queue ($1) and id ($2).
select i.n, j.state
from unnest($1::text[], $2::text[]) with ordinality as i (queue, id, n)
join stoker.jobs as j on j.queue = i.queue and j.id = i.id
