-- Change nothing, but as a write: a deferred transaction takes the file's lock here, and waits.
delete from stoker_queues where false
