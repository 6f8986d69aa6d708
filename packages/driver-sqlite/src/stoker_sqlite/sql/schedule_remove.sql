delete from stoker_schedules
where queue = :queue and name = :name
returning version
