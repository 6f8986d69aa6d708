-- Every queue that was ever used.
select queue from stoker_queues
order by queue
