-- Reserve `count` places at the end of a queue for jobs that may become ready, and hint at them,
-- unless the queue is paused. Creates the queue.
insert into stoker_queues (queue, place, work)
values (:queue, :count, 1)
on conflict (queue) do update
set place = place + :count, work = work + (1 - paused)
returning json_array(place - :count, work, cancels)
