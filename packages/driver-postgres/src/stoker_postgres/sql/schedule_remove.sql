-- Delete a schedule, by queue ($1) and name ($2).
delete from stoker.schedules where queue = $1::text and name = $2::text
returning 1::bigint
