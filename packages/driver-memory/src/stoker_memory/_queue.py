"""One queue: where each of its jobs is, and the moves between these places."""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import Final

from stoker.driver import KeepFor, When, resolve
from stoker.job import HIGHEST_PRIORITY, TERMINAL_STATES, JobState
from stoker_memory._heap import Heap
from stoker_memory._job import Job
from stoker_memory._keys import KeyTable
from stoker_memory._order import InsertionOrder
from stoker_memory._times import micros

__all__ = ["Queue"]

# Bound once: to look a member up on its enum class is not free, and every move does it.
SCHEDULED: Final = JobState.SCHEDULED
READY: Final = JobState.READY
RUNNING: Final = JobState.RUNNING


class Queue:
    """The jobs of one queue.

    A job is in exactly one place, the one that its state names, and every place knows its size:
    so there are no counters that could drift. An operation takes a job out with `leave` and puts
    it down again with `pend`, `run` or `end`.

    The object outlives its jobs: `epoch` is never reset, not even when all jobs are removed.
    """

    __slots__ = (
        "aging",
        "epoch",
        "finished",
        "jobs",
        "keys",
        "name",
        "order",
        "paused",
        "ready",
        "running",
        "scheduled",
        "sequence",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused = False
        self.epoch = 0
        """The last epoch that was issued."""
        self.sequence = 0
        """The sequence number of the last job that was inserted."""
        self.jobs: dict[str, Job] = {}
        self.order = InsertionOrder()
        self.keys = KeyTable()

        self.scheduled: Heap[Job] = Heap()
        self.ready: list[OrderedDict[Job, None]] = [
            OrderedDict() for _ in range(HIGHEST_PRIORITY + 1)
        ]
        """By priority, each an ordered set: any job can leave, and the first can be popped even
        after millions were (a plain dict would step over all of their empty slots)."""
        self.running: dict[Job, None] = {}
        self.finished: dict[JobState, Heap[Job]] = {state: Heap() for state in TERMINAL_STATES}
        """Records that the queue's retention decides about, by the time they ended."""
        self.aging: dict[JobState, Heap[Job]] = {state: Heap() for state in TERMINAL_STATES}
        """Records whose job says how long they are kept, by the time they may be purged."""

    def count(self, state: JobState) -> int:
        """Return how many jobs are in `state`."""
        if state is READY:
            return sum(map(len, self.ready))
        if state is SCHEDULED:
            return len(self.scheduled)
        if state is RUNNING:
            return len(self.running)
        return len(self.finished[state]) + len(self.aging[state])

    def next_due(self) -> int | None:
        """Return when the earliest scheduled job is due."""
        job = self.scheduled.first()
        return None if job is None else job.run_at

    def oldest_ready(self) -> int | None:
        """Return when the job that has been ready for longest became so."""
        heads = [next(iter(ready)) for ready in self.ready if ready]
        return min((job.ready_at for job in heads if job.ready_at is not None), default=None)

    def add(self, job: Job) -> None:
        """Register a new job; its place is still to be given."""
        self.jobs[job.id] = job
        self.order.add(job)

    def leave(self, job: Job) -> None:
        """Take a job out of its place."""
        state = job.state
        if state is RUNNING:
            del self.running[job]
        elif state is READY:
            del self.ready[job.priority][job]
        elif state is SCHEDULED:
            self.scheduled.remove(job)
        else:
            self._archive(job, state).remove(job)

    def pend(self, job: Job, run_at: int, now: int) -> JobState:
        """Let a job wait until `run_at`: ready at once when that has come, else scheduled."""
        job.run_at = run_at
        if run_at <= now:
            job.ready_at = now
            self.ready[job.priority][job] = None
            job.state = READY
        else:
            self.scheduled.push(job, (run_at, job.id))
            job.state = SCHEDULED
        return job.state

    def reschedule(self, job: Job, when: When, now: int) -> JobState:
        """Move a pending job to `when`; a ready one that stays ready keeps its place."""
        run_at = resolve(when, now)
        if job.state is READY and run_at <= now:
            job.run_at = run_at
            return READY
        self.leave(job)
        return self.pend(job, run_at, now)

    def run(self, job: Job) -> None:
        """Let a job run."""
        self.running[job] = None
        job.state = RUNNING

    def end(self, job: Job, state: JobState, now: int) -> JobState:
        """Let a job end in the terminal `state`; its record goes at once if nothing keeps it."""
        job.state = state
        job.finished_at = now
        hold = job.hold
        if hold is not None and hold.until is None:
            self.keys.free(hold)
        age = _own_age(job, state)
        if age is None:
            self.finished[state].push(job, (now, job.id))
        elif age:
            self.aging[state].push(job, (now + micros(age), job.id))
        else:
            self._forget(job)
        return state

    def delete(self, job: Job) -> None:
        """Delete a job's record, wherever it is. A key held for a time stays held."""
        self.leave(job)
        self._forget(job)

    def _forget(self, job: Job) -> None:
        del self.jobs[job.id]
        self.order.remove(job)
        if job.hold is not None:
            job.hold.job = None

    def _archive(self, job: Job, state: JobState) -> Heap[Job]:
        return (self.finished if _own_age(job, state) is None else self.aging)[state]


def _own_age(job: Job, state: JobState) -> timedelta | None:
    """Return how long the job itself wants to be kept after it ended in `state`."""
    keep: KeepFor | None = job.new.keep
    if keep is None:
        return None
    if state is JobState.COMPLETED:
        return keep.completed
    return keep.failed if state is JobState.FAILED else keep.cancelled
