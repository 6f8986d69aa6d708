-- Hold back the jobs of a queue.
insert into stoker.pauses (queue) values ($1::text) on conflict do nothing
