"""Jobs on their way: enqueue, claim, extend, settle, promote, reap."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

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
    JobKey,
    JobState,
    NewJob,
    Outcome,
    Promoted,
    Reaped,
    Release,
    Retry,
    Settled,
    Settlement,
    SettleStatus,
    Snooze,
    Want,
    checks,
    resolve,
)
from stoker.job import PENDING_STATES
from stoker_lmdb._client import Client, Now
from stoker_lmdb._job import Job, micros
from stoker_lmdb._store import Store


class Consuming(Client):
    """The roles of `stoker.driver.Producer` and `stoker.driver.Consumer`."""

    async def enqueue(self, jobs: Sequence[NewJob], *, now: Now = None) -> list[Enqueued]:
        checks.check_jobs(self.info, jobs)
        seen: set[JobKey] = set()

        def step(store: Store, job: NewJob) -> Enqueued:
            existing = store.get(job.key)
            again = job.key in seen
            seen.add(job.key)
            if existing is None:
                store.add(Job.new(job, store.now), job.payload)
            elif again or not job.nonce or job.nonce != existing.nonce:
                return Enqueued(EnqueueStatus.DUPLICATE_ID)
            return Enqueued(EnqueueStatus.INSERTED)  # if it existed, this is its request again

        return await self._each(step, jobs, now)

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: Now = None
    ) -> Claimed:
        checks.check_claim(self.info, wants, worker, lease)

        def take(store: Store) -> Claimed:
            leases = []
            for want in wants:
                limit = 0 if store.is_paused(want.queue) else want.limit
                for job in store.first(want.queue, JobState.READY, limit):
                    job.epoch = store.next_number()
                    job.attempt += 1
                    job.worker, job.claimed_at, job.settled = worker, store.now, None
                    store.move(job, JobState.RUNNING, store.now + micros(lease))
                    leases.append(job.lease(store.payload(job)))
            return Claimed(leases, _next_due_in(store, [want.queue for want in wants]))

        return await self._transact(take, now)

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: Now = None
    ) -> list[Extended]:
        checks.check_extensions(self.info, items)
        checks.check_lease(lease)

        def step(store: Store, item: Extension) -> Extended:
            job = store.get(item.token.key)
            if job is None:
                return Extended(ExtendStatus.GONE)
            if not job.holds(item.token):
                return Extended(ExtendStatus.STALE)
            store.move(job, JobState.RUNNING, store.now + micros(lease))
            return Extended(ExtendStatus.EXTENDED, job.cancel_reason)

        return await self._each(step, items, now)

    async def settle(self, items: Sequence[Settlement], *, now: Now = None) -> list[Settled]:
        checks.check_settlements(self.info, items)
        return await self._each(_settle, items, now)

    async def promote(self, queues: Sequence[str], *, limit: int, now: Now = None) -> Promoted:
        checks.check_limit("limit", limit)

        def make_ready(store: Store) -> Promoted:
            count = 0
            for queue in dict.fromkeys(queues):
                for job in store.first(queue, JobState.SCHEDULED, limit, store.now):
                    store.pend(job, job.run_at)
                    count += 1
            return Promoted(count, _next_due_in(store, queues))

        return await self._transact(make_ready, now)

    async def reap(
        self, queues: Sequence[str], *, limit: int, delay: timedelta, error: bytes, now: Now = None
    ) -> list[Reaped]:
        checks.check_reap(limit, delay, error)

        def end_leases(store: Store) -> list[Reaped]:
            reaped = []
            for queue in dict.fromkeys(queues):
                for job in store.first(queue, JobState.RUNNING, limit, store.now):
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

        return await self._transact(end_leases, now)


def _settle(store: Store, item: Settlement) -> Settled:
    job, kind = store.get(item.token.key), type(item.outcome).__name__
    if job is None:
        return Settled(SettleStatus.GONE)
    if not job.holds(item.token):
        if job.settled and job.epoch == item.token.epoch and job.settled[0] == kind:
            return Settled(SettleStatus.ALREADY, JobState(job.settled[1]))
        return Settled(SettleStatus.STALE)
    state, run_at = _note(job, item.outcome, store.now)
    job.settled = [kind, state]
    if state in PENDING_STATES:
        store.pend(job, run_at)
    else:
        store.end(job, state)
    return Settled(SettleStatus.APPLIED, state)


def _note(job: Job, outcome: Outcome, now: int) -> tuple[JobState, int]:
    """Note in the job what the outcome says; return where it leads, and when the job may run."""
    end, run_at = None, now
    parked_since, job.parked_since = job.parked_since, None
    match outcome:
        case Complete():
            end = JobState.COMPLETED
        case Fail(error):
            job.add_error(error)
            end = JobState.FAILED
        case Cancel(reason):
            job.cancel_reason = reason
        case Retry(when, error):
            job.add_error(error)
            run_at = resolve(when, now)
            end = JobState.FAILED if job.attempt >= job.max_attempts else None
        case Release(when, parked):
            job.attempt -= 1
            run_at = resolve(when, now)
            if parked:
                job.parked_since = now if parked_since is None else parked_since
        case Snooze(when):
            job.attempt -= 1
            job.snoozes += 1
            run_at = resolve(when, now)
    if isinstance(outcome, Complete | Fail):
        job.cancel_reason = None  # they win over a cancel that was asked for
    elif job.cancel_reason is not None:
        end = JobState.CANCELLED
    return end or (JobState.SCHEDULED if run_at > now else JobState.READY), run_at


def _next_due_in(store: Store, queues: Sequence[str]) -> timedelta | None:
    first = [job for queue in queues for job in store.first(queue, JobState.SCHEDULED, 1)]
    due = min((job.run_at for job in first), default=None)
    return None if due is None else timedelta(microseconds=max(0, due - store.now))
