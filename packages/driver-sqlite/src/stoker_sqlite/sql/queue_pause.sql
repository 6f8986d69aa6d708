-- Hold back the jobs of a queue. Creates the queue.
insert into stoker_queues (queue, paused)
values (:queue, 1)
on conflict (queue) do update set paused = 1
