-- Let go of the jobs of a queue, and hint at them.
update stoker_queues set paused = 0, work = work + 1
where queue = :queue
returning json_array(work, cancels)
