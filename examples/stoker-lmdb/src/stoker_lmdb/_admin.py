"""Changes from outside of a worker. Each in one transaction, like all the others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, takewhile

from stoker.driver import Changed, ChangeStatus, Keep, Retention, When, resolve
from stoker.job import PENDING_STATES, JobKey, JobState
from stoker_lmdb._job import micros
from stoker_lmdb._layout import KEPT
from stoker_lmdb._store import Store


def cancel(store: Store, key: JobKey, reason: str) -> Changed:
    """End a pending job; leave a note for the worker of a running one."""
    job = store.get(key)
    if job is None:
        return Changed(ChangeStatus.GONE)
    if job.state in PENDING_STATES:
        job.cancel_reason = reason
        store.end(job, JobState.CANCELLED)
        return Changed(ChangeStatus.DONE, JobState.CANCELLED)
    if job.state is JobState.RUNNING:
        if job.cancel_reason is None:
            job.cancel_reason = reason
            store.save(job)
        return Changed(ChangeStatus.REQUESTED, job.state)
    return Changed(ChangeStatus.NOT_APPLICABLE, job.state)


def retry(store: Store, key: JobKey) -> Changed:
    """Let a job that failed or was cancelled begin again."""
    job = store.get(key)
    if job is None:
        return Changed(ChangeStatus.GONE)
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        return Changed(ChangeStatus.NOT_APPLICABLE, job.state)
    job.attempt = job.crashes = job.snoozes = 0
    job.cancel_reason = job.settled = job.parked_since = None
    store.pend(job, store.now)
    job.finished_at = None
    store.save(job)
    return Changed(ChangeStatus.DONE, job.state)


def reschedule(store: Store, key: JobKey, when: When) -> Changed:
    """Move a pending job to another time; a ready one that stays ready keeps its place."""
    job = store.get(key)
    if job is None:
        return Changed(ChangeStatus.GONE)
    if job.state not in PENDING_STATES:
        return Changed(ChangeStatus.NOT_APPLICABLE, job.state)
    run_at = resolve(when, store.now)
    if job.state is JobState.READY and run_at <= store.now:
        job.run_at = run_at
        store.save(job)
    else:
        store.pend(job, run_at)
    return Changed(ChangeStatus.DONE, job.state)


def remove(store: Store, key: JobKey) -> Changed:
    """Delete a job in whatever state."""
    job = store.get(key)
    if job is None:
        return Changed(ChangeStatus.GONE)
    store.remove(job)
    return Changed(ChangeStatus.DONE)


def purge(store: Store, queue: str, policy: Retention, limit: int) -> int:
    """Delete what nothing keeps: the oldest, or the ones beyond the newest so many."""
    policies = {
        JobState.COMPLETED: policy.completed,
        JobState.FAILED: policy.failed,
        JobState.CANCELLED: policy.cancelled,
    }
    doomed: dict[str, None] = {}
    for job_id in chain.from_iterable(_over(store, queue, *item) for item in policies.items()):
        doomed[job_id] = None
        if len(doomed) == limit:
            break
    for job_id in doomed:
        store.remove(store.at(job_id, queue))
    return len(doomed)


def _over(store: Store, queue: str, state: JobState, keep: Keep) -> Iterator[str]:
    """Walk over the ids of what may go; an id may come twice."""
    for spot in takewhile(lambda spot: spot.number <= store.now, store.spots(KEPT[state], queue)):
        yield spot.id
    if keep.max_age is not None:
        oldest = store.now - micros(keep.max_age)
        for spot in takewhile(lambda spot: spot.number < oldest, store.spots(state, queue)):
            yield spot.id
    if keep.newest is not None:
        for spot in islice(store.spots(state, queue, newest_first=True), keep.newest, None):
            yield spot.id
