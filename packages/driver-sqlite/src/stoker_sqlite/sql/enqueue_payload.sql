-- Attach a payload that is too large for the row, if the job at this place is the one inserted.
insert into stoker_attachments (job, kind, body)
select job, 'payload', ? from stoker_jobs
where queue = ? and id = ? and place = ?
