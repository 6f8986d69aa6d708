"""The four roles of a driver: produce, consume, inspect, administer.

The rules that hold for every operation:

- **Atomic per item, aligned answers.** Items of one call are independent; answers come in the
  order of the items. An empty batch answers an empty list without touching the store. The same
  key or token twice in one call is `InvalidInput`, except in an enqueue.
- **Time.** Every time-dependent operation takes `now`. `None` is the store's own clock; a value is
  used exactly and no other clock is consulted. The two are never mixed in one store. A job is due
  when `run_at <= now`; a lease is expired when `expires_at <= now`.
- **Where a time is given** (enqueue, retry, release, snooze, reschedule, reap's delay) the job is
  `ready` at once when the resolved time is `<= now`, else `scheduled`.
- **A token is valid** from the claim that issued it until the first of: a settlement *applied* on
  it, a reap of it, the job's removal. Expiry alone does not invalidate it.
- **Order.** Higher priority first; within a priority, in the order of becoming ready. What a claim
  takes is a prefix of that order; the order of the list it returns, and the place among others of
  jobs that were promoted or come back from a worker, are not specified. A job that is retried by
  hand becomes ready at that moment, so it comes last.
- **Any caller, any time.** Every operation may be called concurrently from many tasks, clients and
  processes. A cancelled await means that the outcome is unknown, and leaves the client usable. No
  operation holds the event loop up for more than 50 ms: others renew their leases on it.
- **No retries inside.** A failure of the connection or the store, a full disk for one, is raised as
  `DriverUnavailable`; the core decides what to send again.
- **Bad input** is refused whole with `InvalidInput` before anything is changed; a power that the
  driver does not declare, with `Unsupported`. `stoker.driver.checks` has what is bad. A queue or id
  that no enqueue would take is not bad where it is only looked for: nothing has that name. A queue
  that is named twice counts once, except in a claim.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol, Self

from stoker.driver.answers import Changed, Claimed, Enqueued, Promoted, Reaped, Want
from stoker.driver.info import DriverInfo
from stoker.driver.jobs import JobRecord, NewJob
from stoker.driver.queries import JobQuery, Page, QueueStats, Retention
from stoker.driver.settlements import Extended, Extension, Settled, Settlement
from stoker.driver.times import When
from stoker.job import JobKey, JobState

__all__ = ["Admin", "Consumer", "Driver", "Inspector", "Producer", "missing_operations"]


class Producer(Protocol):
    """Stores jobs."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        """Store `jobs`, each at most once.

        The id is looked at before the unique key. An id that exists leaves the existing job
        untouched in every field and answers `DUPLICATE_ID`; with the same nonce it is this very
        request, sent again, and answers `INSERTED`. So a blind re-send is safe for as long as the
        record exists. Within a batch the first of two equal ids or unique keys wins, and the
        other is `DUPLICATE_ID` or `UNIQUE_CONFLICT`. Jobs that are ready at once become so in the
        order of the batch. A driver that locks rows takes them in an order of its own, the same
        for every batch, so that two batches which meet do not deadlock.

        Atomic per queue; durable to the declared level before it returns, and visible from then
        on to any call of any client. A row that another transaction holds blocks it for at most
        two seconds, then it is `DriverUnavailable`.

        Raises:
            InvalidInput: more than `max_batch` jobs, more than `max_batch_bytes` of payload, or a
                value out of its range (a time after the year 2250 is).
            PayloadTooLarge: a payload over `max_payload`.
            Unsupported: a priority or a unique key on a driver that has none.
        """
        ...


class Consumer(Protocol):
    """Hands jobs to workers, and takes their outcomes."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        """Take up to `limit` ready jobs of each queue that is not paused.

        Each becomes `running` with a new epoch, its attempt counted up, `worker` noted and
        `expires_at = now + lease`; a unique key held until `START` is freed. Jobs that are not
        returned are not affected. Only ready jobs are taken, never a scheduled one, even if due.
        It may take fewer than asked, but at least one when one is claimable and nobody else
        touches it. Locked rows are skipped. One round trip.

        A claim whose reply was lost leaves leases that nobody works on; they come back by reap.

        The same queue twice in `wants` is `InvalidInput`.
        """
        ...

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        """Set `expires_at = now + lease` for every valid token, and store progress and logs.

        It may move an expiry forward or back. Answers `STALE` or `GONE` for other tokens, which
        stay without effect, and `BUSY` where another transaction holds the record.
        """
        ...

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        """End leases, each with its outcome.

        A valid token: the settlement is applied and answers `APPLIED` with the state it led to:

        ========= ===========================================================================
        Complete  completed; keeps `result`
        Retry     failed if attempt >= max_attempts, else ready or scheduled; keeps `error`
        Fail      failed; keeps `error`
        Release   ready or scheduled; the attempt is refunded
        Snooze    ready or scheduled; the attempt is refunded, `snoozes` counted up
        Cancel    cancelled, with the reason
        ========= ===========================================================================

        If a cancel was requested, Retry (of the last attempt too), Release and Snooze lead to
        cancelled with the requested reason (a Retry's error is kept, a refund, a snooze and a
        parking are noted all the same); Complete and Fail win over it and clear the request; Cancel
        puts its own reason in place. A job whose `keep` is zero for the state it ends in is removed
        in the same step.

        The record remembers the kind of settlement that ended its last lease and the state that
        it led to, until the next claim, reap or manual retry. A token that is no longer valid
        answers `ALREADY` with that state when its epoch is the record's and the kind is the same
        (the type of the outcome; its values are not compared); `GONE` when there is no record; else
        `STALE`. None of them has any effect. So a settlement of unknown outcome is sent again
        unchanged until it is answered.

        Waits for rows that another transaction holds.
        """
        ...

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        """Make due scheduled jobs ready: up to `limit` a queue, losing none beyond it.

        `ready_at` becomes `now`; `run_at` stays as it is.

        The only other ways from scheduled to ready are by hand (`reschedule`). It may do fewer,
        but at least one when one is due. Paused queues are promoted too.
        """
        ...

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        """End expired leases: up to `limit` a queue, each exactly once across all reapers.

        Each in one guarded, atomic step: `crashes` is counted up, the attempt is refunded,
        `error` is kept; the job fails when crashes > max_crashes, else is cancelled if that was
        requested, else it is ready or scheduled at `now + delay`. A job that fails forgets the
        request; `parked_since` stays as it is. Live leases are not touched.
        Locked rows are skipped. It may do fewer, but at least one when one is expired.
        """
        ...


class Inspector(Protocol):
    """Answers questions, and changes nothing."""

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        """Return the record of each key, `None` where there is none."""
        ...

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        """Return the state of each key, `None` where there is no record.

        It is what waiting for results asks again and again, so it does not read payloads.
        """
        ...

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        """Return a page of the records of `queue` that match, and where to go on.

        Records come in one total order that is fixed for a job's life (the byte order of ids is a
        good one, being the order of creation for the core's own ids), or its reverse. Every job
        that exists for the whole scan appears exactly once.

        Raises:
            InvalidInput: a limit out of range, or a cursor that is not one.
        """
        ...

    async def queues(self) -> list[str]:
        """Return every queue that holds a job, a schedule or a pause; more is legal."""
        ...

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        """Count the jobs of each queue by state, up to `cap` per state; never negative."""
        ...


class Admin(Protocol):
    """Changes jobs from outside of a worker."""

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        """Cancel pending jobs at once (`DONE`); ask the worker of a running one (`REQUESTED`).

        Terminal jobs are `NOT_APPLICABLE`. A second cancel of a running job keeps the first
        reason. `reason` is at most 4,096 bytes of text.
        """
        ...

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        """Make failed and cancelled jobs ready again, due now, at the end of their priority.

        Clears cancel request, result, progress, remembered settlement, `parked_since`,
        `finished_at`, attempt, crashes and snoozes; keeps errors, logs, the epoch, and whose and
        when its last lease was. A unique key until `FINISH` or `START` is taken again, or the
        answer is `UNIQUE_CONFLICT`; of two jobs with one key in one call, the first gets it.
        """
        ...

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        """Move pending jobs to `when`.

        A ready job that is ready at the new time too keeps its place and `ready_at`.
        """
        ...

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        """Delete jobs in any state, running ones included; frees their unique keys."""
        ...

    async def pause(self, queue: str, paused: bool) -> None:
        """Pause or resume a queue: after a pause returns, no later claim takes its jobs."""
        ...

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        """Delete up to `limit` terminal records that nothing keeps; fewer than that means done.

        Also forgets unique keys of the queue that have expired, up to `limit`; they are not
        counted. Locked rows are skipped.
        """
        ...


class Driver(Producer, Consumer, Inspector, Admin, Protocol):
    """One client of one store: all four roles, and a life cycle.

    A driver object belongs to one event loop at a time; `clone()` makes an independent client of
    the same store for another loop or thread.
    """

    @property
    def info(self) -> DriverInfo:
        """What this driver is and promises; the same before and after `open()`."""
        ...

    async def open(self) -> None:
        """Connect, and create or check the schema. Opening an open driver does nothing; a closed
        one can be opened again.

        Many clients may open a new store at the same time.

        Raises:
            DriverUnavailable: the store cannot be reached.
            IncompatibleStore: it can, and this version cannot use it.
        """
        ...

    async def close(self) -> None:
        """Let operations in flight end (5 s), then fail them, and free everything.

        Waits (`wakeup`) return at once. Closing a closed driver does nothing; any other call on
        it raises `DriverClosed`.
        """
        ...

    def clone(self) -> Self:
        """Return an independent, unopened client of the same store.

        Raises:
            Unsupported: around a client or pool that belongs to the user.
        """
        ...


def missing_operations(candidate: object) -> list[str]:
    """Return the names of what `candidate` lacks to be a `Driver`; empty for a driver."""
    wanted = {
        name
        for role in (Producer, Consumer, Inspector, Admin, Driver)
        for name in vars(role)
        if not name.startswith("_")
    }
    return sorted(name for name in wanted if not hasattr(candidate, name))
