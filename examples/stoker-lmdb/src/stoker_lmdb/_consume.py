"""Jobs on their way: enqueue, claim, extend, settle, promote, reap. Each in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import islice, takewhile

from stoker.driver import (
    Cancel,
    Claimed,
    Complete,
    Enqueued,
    EnqueueStatus,
    Extended,
    ExtendStatus,
    Extension,
    Fail,
    NewJob,
    Promoted,
    Reaped,
    Release,
    Retry,
    Settled,
    Settlement,
    SettleStatus,
    Snooze,
    Want,
    resolve,
)
from stoker.job import JobKey, JobState
from stoker_lmdb._job import Job, micros
from stoker_lmdb._store import Store


def enqueue(store: Store, job: NewJob, seen: set[JobKey]) -> Enqueued:
    """Store a job if it is new; `seen` are the keys that came before it in this request."""
    existing = store.get(job.key)
    again = job.key in seen
    seen.add(job.key)
    if existing is None:
        store.add(Job.new(job, store.now), job.payload, resolve(job.run_at, store.now))
    elif again or not job.nonce or job.nonce != existing.nonce:
        return Enqueued(EnqueueStatus.DUPLICATE_ID)
    return Enqueued(EnqueueStatus.INSERTED)  # if it existed, this is its request, sent again


def claim(store: Store, wants: Sequence[Want], worker: str, lease: timedelta) -> Claimed:
    """Take the first ready jobs of each queue."""
    leases = []
    for want in wants:
        if store.is_paused(want.queue):
            continue
        for spot in list(islice(store.spots(JobState.READY, want.queue), want.limit)):
            job = store.at(spot.id, want.queue)
            job.epoch = store.next_number()
            job.attempt += 1
            job.worker, job.claimed_at, job.settled = worker, store.now, None
            store.hold(job, store.now + micros(lease))
            leases.append(job.lease(store.payload(job)))
    return Claimed(leases, _next_due_in(store, [want.queue for want in wants]))


def extend(store: Store, item: Extension, lease: timedelta) -> Extended:
    """Move the end of a lease."""
    job = store.get(item.token.key)
    if job is None:
        return Extended(ExtendStatus.GONE)
    if not job.holds(item.token):
        return Extended(ExtendStatus.STALE)
    store.hold(job, store.now + micros(lease))
    return Extended(ExtendStatus.EXTENDED, job.cancel_reason)


def settle(store: Store, item: Settlement) -> Settled:
    """End a lease, unless something else has ended it before."""
    job, kind = store.get(item.token.key), type(item.outcome).__name__
    if job is None:
        return Settled(SettleStatus.GONE)
    if not job.holds(item.token):
        if job.settled and job.epoch == item.token.epoch and job.settled[0] == kind:
            return Settled(SettleStatus.ALREADY, JobState(job.settled[1]))
        return Settled(SettleStatus.STALE)
    state, run_at = _destination(store, job, item)
    job.settled = [kind, state]
    if run_at is None:
        store.end(job, state)
    else:
        store.pend(job, run_at)
    return Settled(SettleStatus.APPLIED, state)


def _destination(store: Store, job: Job, item: Settlement) -> tuple[JobState, int | None]:
    """Note in the job what the outcome says; return where it leads, and if it waits, until when."""
    outcome, parked_since = item.outcome, job.parked_since
    job.parked_since = None
    match outcome:
        case Complete():
            job.cancel_reason = None
            return JobState.COMPLETED, None
        case Fail(error):
            job.cancel_reason = None
            job.add_error(error)
            return JobState.FAILED, None
        case Cancel(reason):
            job.cancel_reason = reason
            return JobState.CANCELLED, None
        case Retry(_, error):
            job.add_error(error)
        case Release(_, parked):
            job.attempt -= 1
            if parked:
                job.parked_since = store.now if parked_since is None else parked_since
        case Snooze():
            job.attempt -= 1
            job.snoozes += 1
    if job.cancel_reason is not None:
        return JobState.CANCELLED, None
    if isinstance(outcome, Retry) and job.attempt >= job.max_attempts:
        return JobState.FAILED, None
    run_at = resolve(outcome.when, store.now)
    return JobState.READY if run_at <= store.now else JobState.SCHEDULED, run_at


def promote(store: Store, queues: Iterable[str], limit: int) -> Promoted:
    """Make the jobs ready that have waited longest."""
    count = 0
    for queue in dict.fromkeys(queues):
        due = takewhile(
            lambda spot: spot.number <= store.now, store.spots(JobState.SCHEDULED, queue)
        )
        for spot in list(islice(due, limit)):
            store.pend(store.at(spot.id, queue), spot.number)
            count += 1
    return Promoted(count, _next_due_in(store, queues))


def reap(
    store: Store, queues: Iterable[str], limit: int, delay: timedelta, error: bytes
) -> list[Reaped]:
    """End the leases that expired first."""
    reaped = []
    for queue in dict.fromkeys(queues):
        expired = takewhile(
            lambda spot: spot.number <= store.now, store.spots(JobState.RUNNING, queue)
        )
        for spot in list(islice(expired, limit)):
            job = store.at(spot.id, queue)
            job.crashes += 1
            lease = job.lease(store.payload(job))
            job.attempt -= 1
            job.add_error(error)
            if job.crashes > job.max_crashes:
                job.cancel_reason = None
                store.end(job, JobState.FAILED)
            elif job.cancel_reason is not None:
                store.end(job, JobState.CANCELLED)
            else:
                store.pend(job, store.now + micros(delay))
            reaped.append(Reaped(lease, job.worker or "", job.state))
    return reaped


def _next_due_in(store: Store, queues: Iterable[str]) -> timedelta | None:
    firsts = (next(store.spots(JobState.SCHEDULED, queue), None) for queue in queues)
    due = min((spot.number for spot in firsts if spot), default=None)
    return None if due is None else timedelta(microseconds=max(0, due - store.now))
