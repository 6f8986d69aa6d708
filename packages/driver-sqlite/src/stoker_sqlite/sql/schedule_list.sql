select queue, name, definition, next_at, last_at, count, version from stoker_schedules
where queue in (select value from json_each(:queues))
order by queue, name
