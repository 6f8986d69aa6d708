-- Create a schedule, or replace one that has another definition.
insert into stoker_schedules (queue, name, definition, next_at, version)
values (:queue, :name, :definition, :next_at, 1 + coalesce(
    (select removed_version from stoker_queues where queue = :queue), 0
))
on conflict (queue, name) do update
set definition = excluded.definition, next_at = excluded.next_at, version = version + 1
where definition <> excluded.definition
