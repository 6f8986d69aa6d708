-- Free a unique key, whatever it is held until.
delete from stoker_keys
where queue = :queue and key = :key and id = :id
