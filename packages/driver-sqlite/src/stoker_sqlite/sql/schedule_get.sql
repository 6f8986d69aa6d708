select queue, name, definition, next_at, last_at, count, version from stoker_schedules
where queue = :queue and name = :name
