-- Issue `count` epochs of a queue.
update stoker_queues set epoch = epoch + :count
where queue = :queue
