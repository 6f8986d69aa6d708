-- What a change has to know of each of these jobs of a queue (ids, a JSON array).
select json_group_array(json_array(
    j.job, j.id, j.state, j.epoch, j.attempt, j.max_attempts, j.crashes, j.max_crashes, j.snoozes,
    j.place, j.parked_since, j.settled_as, j.settled_to, j.cancel_reason, j.keep_completed,
    j.keep_failed, j.keep_cancelled, j.unique_key, j.unique_until
))
from json_each(:ids) as e
cross join stoker_jobs as j on j.queue = :queue and j.id = e.value
