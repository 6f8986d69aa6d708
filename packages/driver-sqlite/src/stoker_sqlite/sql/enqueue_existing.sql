-- Who has these ids (a JSON array): id, nonce and place of each that exists.
select json_group_array(json_array(j.id, j.nonce, j.place))
from json_each(:ids) as e
cross join stoker_jobs as j on j.queue = :queue and j.id = e.value
