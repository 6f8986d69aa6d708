"""Changes from outside of a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from stoker.driver import Changed, ChangeStatus, JobKey, Until, When
from stoker.job import PENDING_STATES, JobState
from stoker_memory._job import Job
from stoker_memory._queue import Queue
from stoker_memory._store import Store

__all__ = ["cancel", "pause", "remove", "reschedule", "retry"]

_GONE: Final = Changed(ChangeStatus.GONE)
_RETRIABLE: Final = frozenset({JobState.FAILED, JobState.CANCELLED})

_Change: TypeAlias = Callable[[Queue, Job], Changed]


def cancel(store: Store, keys: Sequence[JobKey], reason: str, now: int) -> list[Changed]:
    """Cancel pending jobs; leave a request for the workers of running ones."""

    def change(queue: Queue, job: Job) -> Changed:
        if job.state in PENDING_STATES:
            queue.leave(job)
            job.cancel_reason = reason
            return _done(queue.end(job, JobState.CANCELLED, now))
        if job.state is not JobState.RUNNING:
            return _not_applicable(job)
        if job.cancel_reason is None:
            job.cancel_reason = reason
        store.hint_cancel(queue)
        return Changed(ChangeStatus.REQUESTED, job.state)

    return _change_each(store, keys, change)


def retry(store: Store, keys: Sequence[JobKey], now: int) -> list[Changed]:
    """Let failed and cancelled jobs begin anew, at the end of their priority."""

    def change(queue: Queue, job: Job) -> Changed:
        if job.state not in _RETRIABLE:
            return _not_applicable(job)
        unique = job.new.unique
        if unique is not None and isinstance(unique.until, Until):
            hold = queue.keys.holder(unique.key, now)
            if hold is not None:
                holder = None if hold.job is None else hold.job.id
                return Changed(ChangeStatus.UNIQUE_CONFLICT, existing=holder)
            queue.keys.take(job, unique, now)
        queue.leave(job)
        _begin_anew(job)
        state = queue.pend(job, now, now)
        store.hint_work(queue)
        return _done(state)

    return _change_each(store, keys, change)


def reschedule(store: Store, keys: Sequence[JobKey], when: When, now: int) -> list[Changed]:
    """Move pending jobs to another time."""

    def change(queue: Queue, job: Job) -> Changed:
        if job.state not in PENDING_STATES:
            return _not_applicable(job)
        state = queue.reschedule(job, when, now)
        store.hint_work(queue)
        return _done(state)

    return _change_each(store, keys, change)


def remove(store: Store, keys: Sequence[JobKey]) -> list[Changed]:
    """Delete jobs in any state, and free their keys."""

    def change(queue: Queue, job: Job) -> Changed:
        if job.hold is not None:
            queue.keys.free(job.hold)
        queue.delete(job)
        return _done(None)

    return _change_each(store, keys, change)


def pause(store: Store, name: str, paused: bool) -> None:
    """Pause or resume a queue."""
    if paused:
        store.queue(name).paused = True
    elif (queue := store.queues.get(name)) is not None:
        queue.paused = False
        store.hint_work(queue)


def _change_each(store: Store, keys: Sequence[JobKey], change: _Change) -> list[Changed]:
    answers: list[Changed] = []
    for key in keys:
        queue, job = store.find(key)
        answers.append(_GONE if queue is None or job is None else change(queue, job))
    return answers


def _begin_anew(job: Job) -> None:
    """Forget how the job went, but for its errors, its logs and its epoch."""
    job.attempt = job.crashes = job.snoozes = 0
    job.parked_since = job.finished_at = None
    job.settled_kind = job.settled_state = None
    job.cancel_reason = None
    job.result = job.progress = None


def _done(state: JobState | None) -> Changed:
    return Changed(ChangeStatus.DONE, state)


def _not_applicable(job: Job) -> Changed:
    return Changed(ChangeStatus.NOT_APPLICABLE, job.state)
