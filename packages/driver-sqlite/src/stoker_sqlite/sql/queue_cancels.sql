-- Hint that a running job of the queue is to be cancelled.
update stoker_queues set cancels = cancels + 1
where queue = :queue
returning json_array(work, cancels)
