-- The states of these jobs of a queue (ids, a JSON array).
select json_group_array(json_array(j.id, j.state))
from json_each(:ids) as e
cross join stoker_jobs as j on j.queue = :queue and j.id = e.value
