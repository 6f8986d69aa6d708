-- Remember the highest version that a removed schedule of the queue has had.
update stoker_queues set removed_version = max(removed_version, :version)
where queue = :queue
