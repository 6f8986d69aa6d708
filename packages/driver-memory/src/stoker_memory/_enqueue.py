"""Storing jobs: ids first, then unique keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.driver import (
    IMMEDIATELY,
    Enqueued,
    EnqueueStatus,
    NewJob,
    OnConflict,
    Unique,
    resolve,
)
from stoker.job import PENDING_STATES, JobState
from stoker_memory._job import Job
from stoker_memory._keys import Hold
from stoker_memory._queue import Queue
from stoker_memory._store import Store

__all__ = ["enqueue"]

_INSERTED: Final = Enqueued(EnqueueStatus.INSERTED)
_DUPLICATE: Final = Enqueued(EnqueueStatus.DUPLICATE_ID)


def enqueue(store: Store, jobs: Sequence[NewJob], now: int) -> list[Enqueued]:
    """Store each job at most once, and answer in their order."""
    intakes: dict[str, _Intake] = {}
    answers: list[Enqueued] = []
    for new in jobs:
        name = new.key.queue
        intake = intakes.get(name)
        if intake is None:
            intake = intakes[name] = _Intake(store.queue(name), now)
        answers.append(intake.add(new))
    for intake in intakes.values():
        if intake.changed:
            store.hint_work(intake.queue)
    return answers


class _Intake:
    """What one call stores in one queue."""

    __slots__ = ("_before", "_now", "_resent", "changed", "queue")

    def __init__(self, queue: Queue, now: int) -> None:
        self.queue = queue
        self.changed = False
        self._now = now
        self._before = queue.sequence
        """Jobs with a higher sequence number are of this very call."""
        self._resent: set[str] = set()

    def add(self, new: NewJob) -> Enqueued:
        """Store one job, unless its id or its unique key is taken."""
        existing = self.queue.jobs.get(new.key.id)
        if existing is not None:
            return self._same_id(existing, new)
        unique = new.unique
        if unique is not None:
            hold = self.queue.keys.holder(unique.key, self._now)
            if hold is not None and (conflict := self._same_key(hold, new, unique)) is not None:
                return conflict
        self._insert(new)
        return _INSERTED

    def _insert(self, new: NewJob) -> None:
        queue, now = self.queue, self._now
        queue.sequence += 1
        job = Job(new, queue.sequence, now)
        queue.add(job)
        run_at = now if new.run_at is IMMEDIATELY else resolve(new.run_at, now)
        queue.pend(job, run_at, now)
        if new.unique is not None:
            queue.keys.take(job, new.unique, now)
        self.changed = True

    def _same_id(self, existing: Job, new: NewJob) -> Enqueued:
        """Tell a request that was sent again from another one that uses a taken id."""
        resent = (
            new.nonce != ""
            and new.nonce == existing.new.nonce
            and existing.sequence <= self._before
            and existing.id not in self._resent
        )
        if not resent:
            return _DUPLICATE
        self._resent.add(existing.id)
        return _INSERTED

    def _same_key(self, hold: Hold, new: NewJob, unique: Unique) -> Enqueued | None:
        """Answer for a job whose key is held; `None` when it was freed for it."""
        holder = hold.job
        if holder is None:
            return Enqueued(EnqueueStatus.UNIQUE_CONFLICT)
        movable = holder.state in PENDING_STATES and holder.sequence <= self._before
        if movable and unique.on_conflict is OnConflict.REPLACE:
            self.queue.keys.free(hold)
            self.queue.leave(holder)
            holder.cancel_reason = f"replaced by {new.key.id}"
            self.queue.end(holder, JobState.CANCELLED, self._now)
            return None
        if movable and unique.on_conflict is OnConflict.RESCHEDULE:
            self.queue.reschedule(holder, new.run_at, self._now)
            self.changed = True
            return Enqueued(EnqueueStatus.RESCHEDULED, holder.id)
        return Enqueued(EnqueueStatus.UNIQUE_CONFLICT, holder.id)
