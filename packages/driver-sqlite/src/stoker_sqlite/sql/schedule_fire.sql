-- Advance a schedule past the tick that is due.
update stoker_schedules
set last_at = next_at, next_at = :next_at, count = count + 1, version = version + 1
where queue = :queue and name = :name
