-- Ask for the cancel of running jobs (a JSON array); an earlier request stays.
update stoker_jobs set cancel_reason = :reason
where job in (select value from json_each(:jobs)) and cancel_reason is null
