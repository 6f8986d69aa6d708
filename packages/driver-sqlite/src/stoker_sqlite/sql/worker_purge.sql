-- Forget the workers that are not alive any more.
delete from stoker_workers
where expires_at <= :now
