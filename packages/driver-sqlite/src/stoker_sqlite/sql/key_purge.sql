-- Forget some unique keys that have expired.
delete from stoker_keys
where queue = :queue and key in (
    select key from stoker_keys
    where queue = :queue and expires_at <= :now
    limit :limit
)
