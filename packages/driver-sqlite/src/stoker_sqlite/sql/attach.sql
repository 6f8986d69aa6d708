-- Attach a report to a job.
insert into stoker_attachments (job, kind, body)
values (:job, :kind, :body)
