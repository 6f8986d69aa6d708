delete from stoker_workers
where worker = :worker
