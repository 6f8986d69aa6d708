-- Free a unique key that is held until its job starts or ends.
delete from stoker_keys
where queue = :queue and key = :key and id = :id and expires_at is null
