-- Who holds a unique key: the id, and the state and place of its record, if that exists.
select json_array(k.id, j.state, j.place)
from stoker_keys as k
left join stoker_jobs as j on j.queue = k.queue and j.id = k.id
where k.queue = :queue and k.key = :key and (k.expires_at is null or k.expires_at > :now)
