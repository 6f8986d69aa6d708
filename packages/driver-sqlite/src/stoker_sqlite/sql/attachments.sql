-- The attachments of these jobs (a JSON array), oldest first.
select a.job, a.kind, a.body
from json_each(:jobs) as e
cross join stoker_attachments as a on a.job = e.value
order by a.attachment
