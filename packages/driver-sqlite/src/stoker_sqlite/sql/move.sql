-- Change when a ready job was due; it keeps its place.
update stoker_jobs set run_at = :run_at
where job = :job
