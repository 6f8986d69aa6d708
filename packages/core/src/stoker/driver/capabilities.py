"""Optional powers that come with operations of their own, one small protocol each.

`unique`, `priority`, `results` and `durable_restart` have none: they are promises about the
operations that every driver has.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import Enum, Flag, auto
from typing import Protocol, TypeVar

from stoker._value import value
from stoker.driver.answers import Enqueued
from stoker.driver.jobs import NewJob
from stoker.driver.settlements import Settled, Settlement
from stoker.driver.times import When

__all__ = [
    "FireStatus",
    "Fired",
    "Presence",
    "Schedule",
    "ScheduleBook",
    "Schedules",
    "Transactional",
    "Wake",
    "Wakeup",
    "WorkerPresence",
]


class Wake(Flag):
    """Why a wait ended. Lost, doubled and spurious ones are legal."""

    NOTHING = 0
    """The timeout passed."""
    WORK = auto()
    """There may be something to claim, or the earliest due time moved earlier."""
    CANCEL = auto()
    """The cancel of a running job may have been requested."""


class Wakeup(Protocol):
    """The capability `wakeup`: an idle worker sleeps until there may be something to do."""

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        """Wait until a hint for one of `queues` arrives, at most `timeout` of real time.

        A hint follows the commit of anything that could matter: an enqueue (delayed ones too),
        retry, release, snooze, reap, promote, reschedule or resume, and the cancel of a running
        job. It reaches every client that waits for that queue, in every process.

        The first wait for a queue returns `WORK` at once; from then on hints for it are latched:
        one that arrives between two waits ends the next one at once. So nothing falls into the
        gap between an empty claim and the wait that follows it. A client has one waiter at a
        time; a second one is `InvalidInput`. A paused queue need not give hints for the jobs that
        it holds back; its resume does.
        """
        ...


@value
class Schedule:
    """A recurring job, as the store keeps it."""

    queue: str
    name: str
    definition: bytes
    """Opaque to the driver; written by the core."""
    next_at: datetime | None
    """The next tick; `None` when there will be none."""
    last_at: datetime | None
    """The tick that was fired last."""
    count: int
    """How many ticks were fired."""
    version: int
    """Counted up by every change, a fire included: what `fire_schedule` compares."""
    due_in: timedelta | None
    """`next_at - now`, not below zero; `None` when there is no next tick."""


@value
class ScheduleBook:
    """All schedules of some queues, and the store's time."""

    schedules: list[Schedule]
    now: datetime


class FireStatus(Enum):
    """Whether a tick was fired."""

    FIRED = "fired"
    NOT_DUE = "not_due"
    """`next_at` is later than now, or there is no next tick; nothing was changed."""
    CONFLICT = "conflict"
    """The version, which is compared first, is another: someone fired or replaced the schedule;
    nothing was changed."""
    GONE = "gone"
    """There is no such schedule."""


@value
class Fired:
    """The answer to a fire."""

    status: FireStatus
    now: datetime
    """The store's time, with which the core computes the tick after."""
    enqueued: list[Enqueued]
    """With `FIRED`: aligned with the jobs."""
    schedule: Schedule | None
    """As it is now; `None` when it is gone."""


class Schedules(Protocol):
    """The capability `schedule`: recurring jobs without a leader and without a double fire."""

    async def put_schedule(
        self,
        queue: str,
        name: str,
        definition: bytes,
        next_at: When,
        *,
        now: datetime | None = None,
    ) -> Schedule:
        """Create or replace a schedule.

        With the same definition the row stays as it is, and keeps its next tick. With another
        one, definition and next tick are replaced, the version is counted up, and count and last
        tick are kept. `next_at` is not moved up to `now`: a tick in the past is due. No name is
        ever given a version twice, also not after a removal.
        """
        ...

    async def fire_schedule(
        self,
        queue: str,
        name: str,
        expected_version: int,
        next_at: datetime | None,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> Fired:
        """Fire the tick that is due: compare the version and enqueue `jobs`, in one atomic step.

        On success `last_at` becomes the tick fired, `next_at` the one given (`None`: no more),
        count and version are counted up. A job that is a duplicate or loses its unique key is
        answered as such, and the schedule advances all the same. `jobs` are of this queue; their
        ids are the same whoever fires the tick.
        """
        ...

    async def list_schedules(
        self, queues: Sequence[str], *, now: datetime | None = None
    ) -> ScheduleBook:
        """Return the schedules of these queues, by queue and name, and the store's time."""
        ...

    async def remove_schedule(self, queue: str, name: str) -> bool:
        """Delete a schedule; jobs that it has fired stay. Returns whether there was one."""
        ...


@value
class WorkerPresence:
    """A worker that has announced itself."""

    worker: str
    queues: tuple[str, ...]
    info: bytes
    """JSON text written by the core: host, process, concurrency, versions."""
    since: datetime
    """Its first announcement, as long as it never expired in between."""
    expires_at: datetime


class Presence(Protocol):
    """The capability `presence`: which workers are alive."""

    async def announce(
        self,
        worker: str,
        queues: Sequence[str],
        ttl: timedelta,
        info: bytes,
        *,
        now: datetime | None = None,
    ) -> None:
        """Say that `worker` is alive until `now + ttl`, replacing what it said before."""
        ...

    async def withdraw(self, worker: str) -> None:
        """Say that `worker` has stopped; unknown ones are ignored."""
        ...

    async def workers(self, *, now: datetime | None = None) -> list[WorkerPresence]:
        """Return the workers that have not expired at `now`, by name."""
        ...


Connection = TypeVar("Connection")


class Transactional(Protocol[Connection]):
    """The capability `transactional`: jobs inside the user's own transactions.

    `Connection` is whatever the driver takes: its client library's own type of connection, and
    perhaps those of other libraries. The driver uses a cursor and codecs of its own on it, reads
    every answer to its end, and leaves the caller's isolation level and failures to the caller:
    inside a user's transaction nothing is retried, and deadlocks and serialisation failures pass
    through as the client raises them.
    """

    async def enqueue_in(
        self, connection: Connection, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        """Do `enqueue` inside the transaction that is open on `connection`.

        Rollback leaves nothing; nothing is visible, and nobody is woken, before commit; a
        duplicate does not poison the transaction. The two seconds of `enqueue` do not apply: how
        long a statement waits for a lock is the caller's setting.

        Raises:
            InvalidInput: if no transaction is open on `connection`.
        """
        ...

    async def settle_in(
        self, connection: Connection, item: Settlement, *, now: datetime | None = None
    ) -> Settled:
        """Do `settle` for one `Complete` inside the transaction open on `connection`.

        It waits for a reap in flight and then matches nothing. The caller commits only after
        `APPLIED`.
        """
        ...

    def transaction(
        self, connection: Connection | None = None, *, lease: timedelta
    ) -> AbstractAsyncContextManager[Connection]:
        """Begin a transaction and end it: commit when the block ends well, else roll back.

        Without a `connection` it opens or borrows one of the driver's own. A given one that is
        already in a transaction is refused with `InvalidInput`: its commit could not be seen.
        Where a transaction excludes other writers, the block is rolled back with
        `TransactionTooLong` after a third of `lease`.

        Raises:
            DriverUnavailable: from the end of the block, with `maybe_applied=True` when the
                answer to the commit was lost.
        """
        ...
