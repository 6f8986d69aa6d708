-- Delete the attachments of one kind of these jobs (a JSON array).
delete from stoker_attachments
where job in (select value from json_each(:jobs)) and kind = :kind
