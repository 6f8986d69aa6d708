-- Move the expiry of leases (jobs, a JSON array).
update stoker_jobs set expires_at = :expires_at
where job in (select value from json_each(:jobs))
