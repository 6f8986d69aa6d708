-- The payloads of these jobs (a JSON array) that are attachments.
select a.job, a.body
from json_each(:jobs) as e
cross join stoker_attachments as a on a.job = e.value and a.kind = 'payload'
