-- Whether a queue is paused, and its last epoch.
select paused, epoch from stoker_queues
where queue = :queue
