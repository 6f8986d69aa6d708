-- Delete jobs (a JSON array); a trigger deletes their attachments.
delete from stoker_jobs
where job in (select value from json_each(:jobs))
