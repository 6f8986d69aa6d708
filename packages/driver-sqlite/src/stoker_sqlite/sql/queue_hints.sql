-- How many hints each of these queues (a JSON array) has given.
select queue, work, cancels from stoker_queues
where queue in (select value from json_each(:queues))
