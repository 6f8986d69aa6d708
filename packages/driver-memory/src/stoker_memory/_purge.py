"""Deleting terminal records that nothing keeps any longer."""

from __future__ import annotations

from collections.abc import Iterator

from stoker.driver import Keep, Retention
from stoker.job import JobState
from stoker_memory._heap import Heap
from stoker_memory._job import Job
from stoker_memory._queue import Queue
from stoker_memory._store import Store
from stoker_memory._times import micros

__all__ = ["purge"]


def purge(store: Store, name: str, policy: Retention, limit: int, now: int) -> int:
    """Delete up to `limit` records of one queue, and forget unique keys that have expired."""
    queue = store.queues.get(name)
    if queue is None:
        return 0
    queue.keys.forget_expired(now, limit)
    count = 0
    for job in _purgeable(queue, policy, now):
        if count == limit:
            break
        queue.delete(job)
        count += 1
    return count


def _purgeable(queue: Queue, policy: Retention, now: int) -> Iterator[Job]:
    """Yield what nothing keeps; each must be deleted before the next is asked for."""
    kept = {
        JobState.COMPLETED: policy.completed,
        JobState.FAILED: policy.failed,
        JobState.CANCELLED: policy.cancelled,
    }
    for state, keep in kept.items():
        while (job := _surplus(queue.finished[state], keep, now)) is not None:
            yield job
        while (job := queue.aging[state].first()) is not None and job.rank[0] <= now:
            yield job


def _surplus(finished: Heap[Job], keep: Keep, now: int) -> Job | None:
    """Return the record that ended first, unless it is to be kept."""
    job = finished.first()
    if job is None:
        return None
    too_many = keep.newest is not None and len(finished) > keep.newest
    too_old = keep.max_age is not None and now - job.rank[0] > micros(keep.max_age)
    return job if too_many or too_old else None
