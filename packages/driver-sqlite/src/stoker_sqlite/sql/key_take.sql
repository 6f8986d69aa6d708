-- Take a unique key that nobody holds; a row that is there has expired.
insert into stoker_keys (queue, key, id, expires_at)
values (:queue, :key, :id, :expires_at)
on conflict (queue, key) do update set id = excluded.id, expires_at = excluded.expires_at
