"""Upkeep: due jobs become ready, expired leases end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from stoker.driver import Promoted, Reaped
from stoker.job import PENDING_STATES, JobState
from stoker_memory._inspect import next_due_in
from stoker_memory._job import Job, append_error, lease_of
from stoker_memory._queue import Queue
from stoker_memory._store import Store

__all__ = ["promote", "reap"]


def promote(store: Store, queues: Sequence[str], limit: int, now: int) -> Promoted:
    """Make up to `limit` due jobs of each queue ready."""
    count = 0
    for queue in store.known(queues):
        promoted = 0
        while promoted < limit and (job := queue.scheduled.first()) and job.run_at <= now:
            queue.leave(job)
            queue.pend(job, job.run_at, now)
            promoted += 1
        if promoted:
            store.hint_work(queue)
        count += promoted
    return Promoted(count, next_due_in(store, queues, now))


def reap(
    store: Store, queues: Sequence[str], limit: int, delay: int, error: bytes, now: int
) -> list[Reaped]:
    """End up to `limit` expired leases of each queue."""
    ended: list[Reaped] = []
    for queue in store.known(queues):
        # What runs is as much as the workers of one process hold, so it is looked through: an
        # index by expiry would cost every claim, extend and settle more than it spares here.
        expired = (job for job in queue.running if job.expires_at <= now)
        reaped = [_end_lease(queue, job, delay, error, now) for job in list(islice(expired, limit))]
        if any(one.state in PENDING_STATES for one in reaped):
            store.hint_work(queue)
        ended += reaped
    return ended


def _end_lease(queue: Queue, job: Job, delay: int, error: bytes, now: int) -> Reaped:
    """End one expired lease: a crash more, an attempt less."""
    job.crashes += 1
    lease, worker = lease_of(job), job.worker or ""
    append_error(job, error)
    job.attempt -= 1
    job.settled_kind = job.settled_state = None
    queue.leave(job)
    if job.crashes > job.new.max_crashes:
        job.cancel_reason = None
        state = queue.end(job, JobState.FAILED, now)
    elif job.cancel_reason is not None:
        state = queue.end(job, JobState.CANCELLED, now)
    else:
        state = queue.pend(job, now + delay, now)
    return Reaped(lease, worker, state)
