-- Ids between two bounds whose job matches every filter given, as a JSON array.
select json_group_array(id) from (
    select id from stoker_jobs as j
    where queue = :queue and id < :after and id >= :last
    and (:states is null or state in (select value from json_each(:states)))
    and (:names is null or name in (select value from json_each(:names)))
    and (:ids is null or id in (select value from json_each(:ids)))
    and (:enqueued_from is null or enqueued_at >= :enqueued_from)
    and (:enqueued_to is null or enqueued_at < :enqueued_to)
    and (:tags is null or not exists (
        select 1 from json_each(:tags) as wanted
        where wanted.value not in (select value from json_each(coalesce(j.tags, '[]')))
    ))
    and (:metadata is null or not exists (
        select 1 from json_each(:metadata) as wanted
        where not exists (
            select 1 from json_each(coalesce(j.metadata, '{}')) as had
            where had.key = wanted.key and had.value = wanted.value
        )
    ))
    order by id desc
    limit :limit
)
