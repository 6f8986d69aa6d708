"""The life of a lease: claim, extend, settle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.driver import (
    Cancel,
    Claimed,
    Complete,
    Extended,
    ExtendStatus,
    Extension,
    Fail,
    Lease,
    Release,
    Retry,
    Settled,
    Settlement,
    SettleStatus,
    Snooze,
    Want,
    When,
    resolve,
)
from stoker.job import PENDING_STATES, JobState
from stoker_memory._inspect import next_due_in
from stoker_memory._job import Job, append_error, lease_of, report
from stoker_memory._queue import Queue
from stoker_memory._store import Store

__all__ = ["claim", "extend", "settle"]

# Bound once: to look a member up on its enum class is not free, and every lease does it.
RUNNING: Final = JobState.RUNNING
COMPLETED: Final = JobState.COMPLETED
FAILED: Final = JobState.FAILED
CANCELLED: Final = JobState.CANCELLED

# Values are immutable, so one of each is enough.
_APPLIED: Final = {state: Settled(SettleStatus.APPLIED, state) for state in JobState}
_SETTLED_STALE: Final = Settled(SettleStatus.STALE)
_SETTLED_GONE: Final = Settled(SettleStatus.GONE)
_EXTENDED: Final = Extended(ExtendStatus.EXTENDED)
_EXTENDED_STALE: Final = Extended(ExtendStatus.STALE)
_EXTENDED_GONE: Final = Extended(ExtendStatus.GONE)


def claim(store: Store, wants: Sequence[Want], worker: str, lease: int, now: int) -> Claimed:
    """Take ready jobs of each queue, and tell when the next scheduled one is due."""
    leases: list[Lease] = []
    for want in wants:
        queue = store.queues.get(want.queue)
        if queue is not None and not queue.paused:
            _take(queue, want.limit, worker, now, now + lease, leases)
    return Claimed(leases, next_due_in(store, [want.queue for want in wants], now))


def _take(
    queue: Queue, limit: int, worker: str, now: int, expires_at: int, leases: list[Lease]
) -> None:
    """Move up to `limit` ready jobs of one queue to running, in their order."""
    for ready in reversed(queue.ready):
        while ready and limit > 0:
            job, _ = ready.popitem(last=False)
            limit -= 1
            queue.epoch += 1
            job.epoch = queue.epoch
            job.attempt += 1
            job.worker = worker
            job.claimed_at = now
            job.expires_at = expires_at
            job.settled_kind = job.settled_state = None
            if job.hold is not None and job.hold.at_start:
                queue.keys.free(job.hold)
            queue.run(job)
            leases.append(lease_of(job))


def extend(store: Store, items: Sequence[Extension], lease: int, now: int) -> list[Extended]:
    """Move the expiry of every valid lease, and keep what its run reports."""
    return [_extend(store, item, now + lease) for item in items]


def _extend(store: Store, item: Extension, expires_at: int) -> Extended:
    _, job = store.find(item.token.key)
    if job is None:
        return _EXTENDED_GONE
    if job.epoch != item.token.epoch or job.state is not RUNNING:
        return _EXTENDED_STALE
    job.expires_at = expires_at
    report(job, item.progress, item.logs)
    if job.cancel_reason is None:
        return _EXTENDED
    return Extended(ExtendStatus.EXTENDED, job.cancel_reason)


def settle(store: Store, items: Sequence[Settlement], now: int) -> list[Settled]:
    """End leases, and let the waiters know where jobs came back."""
    answers: list[Settled] = []
    came_back: dict[Queue, None] = {}
    for item in items:
        queue, job = store.find(item.token.key)
        if queue is None or job is None:
            answers.append(_SETTLED_GONE)
        elif job.epoch == item.token.epoch and job.state is RUNNING:
            state = _apply(queue, job, item, now)
            job.settled_kind, job.settled_state = type(item.outcome), state
            if state in PENDING_STATES:
                came_back[queue] = None
            answers.append(_APPLIED[state])
        elif job.epoch == item.token.epoch and job.settled_kind is type(item.outcome):
            answers.append(Settled(SettleStatus.ALREADY, job.settled_state))
        else:
            answers.append(_SETTLED_STALE)
    for queue in came_back:
        store.hint_work(queue)
    return answers


def _apply(queue: Queue, job: Job, item: Settlement, now: int) -> JobState:
    """Settle a valid lease, and return the state that it led to."""
    report(job, item.progress, item.logs)
    parked_since, job.parked_since = job.parked_since, None
    queue.leave(job)
    outcome = item.outcome
    match outcome:
        case Complete():
            job.result = outcome.result
            job.cancel_reason = None
            return queue.end(job, COMPLETED, now)
        case Retry():
            append_error(job, outcome.error)
            if job.attempt >= job.new.max_attempts and job.cancel_reason is None:
                return queue.end(job, FAILED, now)
            return _come_back(queue, job, outcome.when, now)
        case Fail():
            append_error(job, outcome.error)
            job.cancel_reason = None
            return queue.end(job, FAILED, now)
        case Release():
            job.attempt -= 1
            if outcome.parked:
                job.parked_since = now if parked_since is None else parked_since
            return _come_back(queue, job, outcome.when, now)
        case Snooze():
            job.attempt -= 1
            job.snoozes += 1
            return _come_back(queue, job, outcome.when, now)
        case Cancel():
            job.cancel_reason = outcome.reason
            return queue.end(job, CANCELLED, now)


def _come_back(queue: Queue, job: Job, when: When, now: int) -> JobState:
    """Let a job wait for another run, unless its cancel was requested during this one."""
    if job.cancel_reason is not None:
        return queue.end(job, CANCELLED, now)
    return queue.pend(job, resolve(when, now), now)
