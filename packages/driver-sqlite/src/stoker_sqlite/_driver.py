"""The driver: the contract's operations, each handed to the module that knows how."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal, Self

import aiosqlite

from stoker.driver import (
    Capability,
    Changed,
    ChangeStatus,
    Claimed,
    ClockSource,
    Complete,
    DriverInfo,
    Durability,
    Enqueued,
    Extended,
    ExtendStatus,
    Extension,
    Fired,
    JobKey,
    JobQuery,
    JobRecord,
    JobState,
    Migration,
    NewJob,
    Page,
    Promoted,
    QueueStats,
    Reaped,
    Retention,
    Schedule,
    ScheduleBook,
    Scope,
    Settled,
    Settlement,
    Wake,
    Want,
    When,
    WorkerPresence,
    to_micros,
)
from stoker.driver.checks import (
    check_cancel,
    check_claim,
    check_extensions,
    check_fire,
    check_jobs,
    check_keys,
    check_lease,
    check_limit,
    check_purge,
    check_query,
    check_reap,
    check_settlements,
    check_text,
    check_when,
)
from stoker.errors import DriverClosed, InvalidInput
from stoker_sqlite import (
    _admin,
    _claim,
    _enqueue,
    _inspect,
    _maintain,
    _migrating,
    _presence,
    _schedules,
    _settle,
)
from stoker_sqlite._block import Block
from stoker_sqlite._client import Client
from stoker_sqlite._connection import FileLocked, run
from stoker_sqlite._joining import within
from stoker_sqlite._times import micros, moment, system_now
from stoker_sqlite._transaction import Transaction
from stoker_sqlite._url import SYNCHRONOUS, check_path, place

__all__ = ["SqliteDriver"]

Synchronous = Literal["full", "normal"]

_BUSY: Final = Changed(ChangeStatus.BUSY)
_EXTEND_BUSY: Final = Extended(ExtendStatus.BUSY)


class SqliteDriver:
    """Jobs in one SQLite file, shared by all processes of a host.

    `path` is the file; its folder has to exist, the file is created when it does not. With
    `synchronous="full"`, the default, an acknowledged write survives a crash of the machine; with
    "normal" such a crash may lose the last moments, and commits are cheaper.

    The file may be your application's own: `open` puts tables that are called `stoker_*` beside
    yours. It also puts the file into WAL mode, and that is for good: a property of the file, also
    for other programs. Nothing else of yours is changed. A file in WAL mode must not be on a
    network file system.

        driver = SqliteDriver("jobs.db")
        driver = SqliteDriver.from_url("sqlite:///jobs.db?synchronous=normal")

    Fork before a driver is opened, not after. A file that was open cannot be used in the child:
    SQLite would not lock it there. Every call, and `open` of a `clone()`, raises `DriverClosed`.

    Raises:
        InvalidInput: `path` is not the name of a file, or an option has another value.
    """

    def __init__(self, path: str | os.PathLike[str], *, synchronous: Synchronous = "full") -> None:
        check_path(os.fspath(path))
        if synchronous not in SYNCHRONOUS:
            raise InvalidInput(f"synchronous={synchronous!r}: one of {', '.join(SYNCHRONOUS)}")
        self._path = Path(path).absolute().resolve()
        self._synchronous: Synchronous = synchronous
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        self._info = DriverInfo(
            name="sqlite",
            version=version("stoker-sqlite"),
            capabilities=frozenset(Capability),
            scope=Scope.HOST,
            clock=ClockSource.PROCESS,
            durability=Durability.DURABLE if synchronous == "full" else Durability.BUFFERED,
        )

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return a driver for `sqlite:///relative.db` or `sqlite:////absolute/path.db`.

        The parameter `synchronous` is `full` (the default) or `normal`.

        Raises:
            InvalidInput: the URL has another form, or parameters that are not known.
        """
        path, synchronous = place(url)
        return cls(path, synchronous="normal" if synchronous == "normal" else "full")

    def __repr__(self) -> str:
        return f"SqliteDriver({str(self._path)!r})"

    # Life cycle

    @property
    def info(self) -> DriverInfo:
        """What this driver is and promises."""
        return self._info

    async def open(self) -> None:
        """Open the file, put it into WAL mode, and create the tables or bring them up to date.

        Raises:
            IncompatibleStore: the file cannot be used, or not by this version; says what to do.
            DriverUnavailable: another connection has locked the file for 10 s.
            DriverClosed: the file was open when this process was forked.
        """
        async with self._opening:
            if self._client is None:
                self._client = await Client.open(self._path, self._synchronous)

    async def close(self) -> None:
        """Let operations in flight end (5 s), then fail them; end all threads."""
        client, self._client = self._client, None
        if client is not None and not client.is_inherited:
            await client.close()

    def clone(self) -> Self:
        """Return an independent, unopened driver of the same file."""
        return type(self)(self._path, synchronous=self._synchronous)

    # Migrates

    async def pending_migrations(self) -> list[Migration]:
        """Return what the file lacks, with the SQL of each step; it is not created."""
        return await _migrating.pending(self._path)

    async def migrate(self) -> list[Migration]:
        """Create the file and its tables or bring them up to date, in WAL mode, as `open` does."""
        return await _migrating.migrate(self._path, self._synchronous)

    # Producer

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        """Store jobs, each at most once, in one transaction."""
        client, at = self._opened(), moment(now)
        check_jobs(self._info, jobs)
        if not jobs:
            return []
        return await client.writer.run(lambda tx: _enqueue.enqueue(tx, jobs, _clock(at)))

    # Consumer

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        """Take ready jobs of each queue that is not paused."""
        client, at = self._opened(), moment(now)
        check_claim(self._info, wants, worker, lease)
        length = micros(lease)
        return await client.writer.run(
            lambda tx: _claim.claim(tx, wants, worker, length, _clock(at))
        )

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        """Move the expiry of every valid lease; `BUSY` while a user's transaction is open."""
        client, at = self._opened(), moment(now)
        check_extensions(self._info, items)
        check_lease(lease)
        if not items:
            return []
        length = micros(lease)
        try:
            return await client.writer.run(lambda tx: _settle.extend(tx, items, length, _clock(at)))
        except FileLocked:
            return [_EXTEND_BUSY] * len(items)

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        """End leases, each with its outcome."""
        client, at = self._opened(), moment(now)
        check_settlements(self._info, items)
        if not items:
            return []
        return await client.writer.run(lambda tx: _settle.settle(tx, items, _clock(at)))

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        """Make due jobs ready."""
        client, at = self._opened(), moment(now)
        check_limit("limit", limit)
        return await client.writer.run(lambda tx: _maintain.promote(tx, queues, limit, _clock(at)))

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        """End expired leases."""
        client, at = self._opened(), moment(now)
        check_reap(limit, delay, error)
        length = micros(delay)
        return await client.writer.run(
            lambda tx: _maintain.reap(tx, queues, limit, length, error, _clock(at))
        )

    # Inspector

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        """Return the record of each key, where there is one."""
        client = self._opened()
        check_keys(self._info, keys)
        return await client.reader.run(lambda tx: _inspect.get(tx, keys)) if keys else []

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        """Return the state of each key, where there is one."""
        client = self._opened()
        check_keys(self._info, keys)
        return await client.reader.run(lambda tx: _inspect.states(tx, keys)) if keys else []

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        """Return a page of the jobs that match, in the byte order of their ids."""
        client = self._opened()
        check_query(query)
        after = None if cursor is None else _inspect.cursor_id(cursor)
        return await client.reader.run(lambda tx: _inspect.search(tx, queue, query, after))

    async def queues(self) -> list[str]:
        """Return every queue that was ever used."""
        return await self._opened().reader.run(_inspect.queues)

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        """Count the jobs of each queue by state."""
        client, at = self._opened(), moment(now)
        check_limit("cap", cap)
        return await client.reader.run(lambda tx: _inspect.stats(tx, queues, cap, _clock(at)))

    # Admin

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        """Cancel pending jobs; ask the workers of running ones."""
        at = moment(now)
        check_cancel(self._info, keys, reason)
        return await self._change(keys, lambda tx: _admin.cancel(tx, keys, reason, _clock(at)))

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        """Let failed and cancelled jobs begin anew."""
        at = moment(now)
        return await self._change(keys, lambda tx: _admin.retry(tx, keys, _clock(at)))

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        """Move pending jobs to another time."""
        at = moment(now)
        check_when(when)
        return await self._change(keys, lambda tx: _admin.reschedule(tx, keys, when, _clock(at)))

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        """Delete jobs in any state."""
        return await self._change(keys, lambda tx: _admin.remove(tx, keys))

    async def pause(self, queue: str, paused: bool) -> None:
        """Pause or resume a queue."""
        client = self._opened()
        check_text("queue", queue)
        await client.writer.run(lambda tx: _admin.pause(tx, queue, paused))

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        """Delete terminal records that nothing keeps."""
        client, at = self._opened(), moment(now)
        check_purge(policy, limit)
        return await client.writer.run(
            lambda tx: _maintain.purge(tx, queue, policy, limit, _clock(at))
        )

    # Wakeup

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        """Wait until there may be something to do in one of these queues."""
        return await self._opened().wait(queues, timeout)

    # Schedules

    async def put_schedule(
        self,
        queue: str,
        name: str,
        definition: bytes,
        next_at: When,
        *,
        now: datetime | None = None,
    ) -> Schedule:
        """Create or replace a schedule."""
        client, at = self._opened(), moment(now)
        check_text("queue", queue)
        check_text("schedule", name)
        check_when(next_at)
        return await client.writer.run(
            lambda tx: _schedules.put(tx, queue, name, definition, next_at, _clock(at))
        )

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
        """Fire the tick that is due, and store its jobs, in one transaction."""
        client, at = self._opened(), moment(now)
        check_fire(self._info, queue, next_at, jobs)
        tick = None if next_at is None else to_micros(next_at)
        return await client.writer.run(
            lambda tx: _schedules.fire(tx, queue, name, expected_version, tick, jobs, _clock(at))
        )

    async def list_schedules(
        self, queues: Sequence[str], *, now: datetime | None = None
    ) -> ScheduleBook:
        """Return the schedules of these queues."""
        client, at = self._opened(), moment(now)
        return await client.reader.run(lambda tx: _schedules.listed(tx, queues, _clock(at)))

    async def remove_schedule(self, queue: str, name: str) -> bool:
        """Delete a schedule."""
        client = self._opened()
        return await client.writer.run(lambda tx: _schedules.remove(tx, queue, name))

    # Presence

    async def announce(
        self,
        worker: str,
        queues: Sequence[str],
        ttl: timedelta,
        info: bytes,
        *,
        now: datetime | None = None,
    ) -> None:
        """Say that a worker is alive until `now + ttl`."""
        client, at = self._opened(), moment(now)
        check_text("worker", worker)
        check_lease(ttl)
        length = micros(ttl)
        await client.writer.run(
            lambda tx: _presence.announce(tx, worker, queues, length, info, _clock(at))
        )

    async def withdraw(self, worker: str) -> None:
        """Say that a worker has stopped."""
        client = self._opened()
        await client.writer.run(lambda tx: _presence.withdraw(tx, worker))

    async def workers(self, *, now: datetime | None = None) -> list[WorkerPresence]:
        """Return the workers that are alive."""
        client, at = self._opened(), moment(now)
        return await client.reader.run(lambda tx: _presence.workers(tx, _clock(at)))

    # Transactional

    async def enqueue_in(
        self,
        connection: aiosqlite.Connection,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> list[Enqueued]:
        """Do `enqueue` inside the transaction that is open on `connection`.

        Waiting workers, also those of this process, learn of the jobs from the file when the
        transaction is committed: within a few milliseconds.
        """
        at = self._checked_for_use(connection, now)
        check_jobs(self._info, jobs)
        if not jobs:
            return []
        return await run(
            connection, within, self._path, lambda tx: _enqueue.enqueue(tx, jobs, _clock(at))
        )

    async def settle_in(
        self, connection: aiosqlite.Connection, item: Settlement, *, now: datetime | None = None
    ) -> Settled:
        """Do `settle` for one `Complete` inside the transaction open on `connection`."""
        at = self._checked_for_use(connection, now)
        check_settlements(self._info, [item])
        if not isinstance(item.outcome, Complete):
            raise InvalidInput("only a Complete can be settled inside a user's transaction")
        return await run(
            connection, within, self._path, lambda tx: _settle.settle_one(tx, item, _clock(at))
        )

    def transaction(
        self, connection: aiosqlite.Connection | None = None, *, lease: timedelta
    ) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """Begin a transaction and end it: commit when the block ends well, else roll back.

        Without a `connection` a new one is opened for the block: what a block sets on it is gone
        with it. The block holds the file's only writer, so it is rolled back with
        `TransactionTooLong` after a third of `lease`.
        """
        client = self._opened()
        check_lease(lease)
        if connection is not None:
            _check_connection(connection)
        return Block(
            self._path, self._synchronous, lease.total_seconds(), connection, client.blocks
        )

    async def _change(
        self, keys: Sequence[JobKey], change: Callable[[Transaction], list[Changed]]
    ) -> list[Changed]:
        """Run an administrative operation; all keys are `BUSY` while the file is locked."""
        client = self._opened()
        check_keys(self._info, keys)
        if not keys:
            return []
        try:
            return await client.writer.run(change)
        except FileLocked:
            return [_BUSY] * len(keys)

    def _checked_for_use(
        self, connection: aiosqlite.Connection, now: datetime | None
    ) -> int | None:
        self._opened()
        _check_connection(connection)
        return moment(now)

    def _opened(self) -> Client:
        client = self._client
        if client is None:
            raise DriverClosed(f"the driver of {self._path} is not open")
        if client.is_inherited:
            raise DriverClosed(
                f"the driver of {self._path} was opened before this process was forked: "
                "fork first and open then, or start processes in another way (spawn)"
            )
        return client


def _clock(given: int | None) -> int:
    """Return the time of an operation. The process's clock is read when the operation runs."""
    return system_now() if given is None else given


def _check_connection(connection: object) -> None:
    if not isinstance(connection, aiosqlite.Connection):
        raise InvalidInput(f"an aiosqlite.Connection is needed, not {type(connection).__name__}")
