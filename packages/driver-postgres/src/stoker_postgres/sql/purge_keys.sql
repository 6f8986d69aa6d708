-- Forget unique keys of a queue ($2) that have expired, up to $3, as of now ($1 or the server's
-- clock).
delete from stoker.keys as k
where k.ctid = any(array(
    select x.ctid from stoker.keys as x
    where x.queue = $2::text
        and x.expires_at <= (select coalesce(stoker.instant($1::bigint), clock_timestamp()))
    limit $3::bigint
    for update skip locked
))
and k.expires_at is not null
