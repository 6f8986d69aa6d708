-- Keep only the newest attachments of one kind.
delete from stoker_attachments
where job = :job and kind = :kind and attachment <= (
    select attachment from stoker_attachments
    where job = :job and kind = :kind
    order by attachment desc
    limit 1 offset :newest
)
