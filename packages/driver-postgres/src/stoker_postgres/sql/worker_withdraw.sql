-- Forget a worker.
delete from stoker.workers where worker = $1::text
