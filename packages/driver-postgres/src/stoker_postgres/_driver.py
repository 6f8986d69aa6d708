"""The driver: the contract's operations, each handed to the module that knows how."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any, Final, Self

import asyncpg

from stoker.driver import (
    Capability,
    Changed,
    Claimed,
    ClockSource,
    Complete,
    Definition,
    DriverInfo,
    Durability,
    Enqueued,
    Extended,
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
from stoker.errors import DriverClosed, InvalidInput, Unsupported
from stoker_postgres import (
    _admin,
    _claim,
    _definitions,
    _enqueue,
    _foreign,
    _inspect,
    _maintain,
    _migrating,
    _presence,
    _schedules,
    _schema,
    _settle,
)
from stoker_postgres._asyncpg import as_pool, is_pool
from stoker_postgres._block import Block
from stoker_postgres._client import Client
from stoker_postgres._source import Own, Source, Users
from stoker_postgres._sql import DEFAULT_SCHEMA
from stoker_postgres._statements import OnConnection
from stoker_postgres._times import micros, moment
from stoker_postgres._url import check_schema, place, without_password

__all__ = ["PostgresDriver"]

_IDLE: Final = "5s"
"""How long a user's transaction may be idle after its job was completed in it. A client that has
stopped there would hold the row for ever."""


class PostgresDriver:
    """Jobs in a PostgreSQL database, in a schema of their own.

        driver = PostgresDriver("postgresql://app:secret@db.example/app")
        driver = PostgresDriver(pool, schema="jobs")
        driver = PostgresDriver.from_url("postgresql://db.example/app?schema=jobs&pool_size=20")

    Args:
        server: a URL as asyncpg takes it, or a pool of asyncpg that is yours: you open it before
            the driver and close it after. Listening for hints keeps one of its connections.
        schema: the schema that holds the driver's tables. Several may be side by side.
        pool_size: the most connections of the driver's own pool, at least 3. One more listens.
        pooler: whether there is a pooler such as PgBouncer in transaction mode in between. Then
            nothing is set on a connection, no statement is kept prepared, and the driver does not
            have `wakeup`: workers look for jobs by themselves, after some seconds when idle.
        migrate: whether `open` may create the schema and bring it up to date.
        command_timeout: how many seconds a statement may take, 0.1 to 3,600. Then the server ends
            it and nothing of it is done; five seconds later it is given up without an answer. It
            also holds for what is run on a connection of the driver's own in `transaction()`.

    Raises:
        InvalidInput: an option is out of its range.
    """

    def __init__(
        self,
        server: str | asyncpg.Pool,
        *,
        schema: str = DEFAULT_SCHEMA,
        pool_size: int = 10,
        pooler: bool = False,
        migrate: bool = True,
        command_timeout: float = 30.0,
    ) -> None:
        check_schema(schema)
        if not 3 <= pool_size <= 1_000:
            raise InvalidInput(f"pool_size={pool_size}: 3 to 1,000")
        if not 0.1 <= command_timeout <= 3_600:
            raise InvalidInput(f"command_timeout={command_timeout}: 0.1 to 3,600 seconds")
        self._schema = schema
        self._migrate = migrate
        self._source = _source(server, pool_size, pooler, command_timeout)
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        without = {Capability.WAKEUP} if pooler else set[Capability]()
        self._info = DriverInfo(
            name="postgres",
            version=version("stoker-postgres"),
            capabilities=frozenset(Capability) - without,
            scope=Scope.NETWORK,
            clock=ClockSource.SERVER,
            durability=Durability.DURABLE,
        )

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return a driver for `postgresql://user:password@host:port/database`.

        The parameters `schema`, `pool_size`, `pooler` and `migrate` (both on or off) and
        `command_timeout` are the options of the driver; all others go to asyncpg (`sslmode`,
        `host`, ...).

        Raises:
            InvalidInput: the URL has another form, or an option is out of its range.
        """
        found = place(url)
        return cls(found.dsn, **found.options)

    @staticmethod
    def migration_script(schema: str = DEFAULT_SCHEMA, done: int = 0) -> str:
        """Return the SQL that brings a schema from version `done` to the newest.

        For those whose database is changed by hand: run it in one transaction, and open drivers
        with `migrate=False`.
        """
        check_schema(schema)
        return _schema.script(schema, done)

    def __repr__(self) -> str:
        source = self._source
        where = without_password(source.dsn) if isinstance(source, Own) else "a pool"
        return f"PostgresDriver({where!r}, schema={self._schema!r})"

    # Life cycle

    @property
    def info(self) -> DriverInfo:
        """What this driver is and promises."""
        return self._info

    async def open(self) -> None:
        """Connect, and create the schema or bring it up to date.

        Raises:
            DriverUnavailable: the server cannot be reached.
            IncompatibleStore: the server is too old, the schema is missing or newer, or the role
                lacks a right; says what to do.
        """
        async with self._opening:
            if self._client is None:
                self._client = await Client.open(self._source, self._schema, migrate=self._migrate)

    async def close(self) -> None:
        """Let operations in flight end (5 s), then fail them; close all connections."""
        client, self._client = self._client, None
        if client is not None and not client.is_inherited:
            await client.close()

    def clone(self) -> Self:
        """Return an independent, unopened driver of the same schema.

        Raises:
            Unsupported: around a user's pool, which belongs to one loop.
        """
        source = self._source
        if not isinstance(source, Own):
            raise Unsupported("a driver around a pool of yours cannot be cloned: make another pool")
        return type(self)(
            source.dsn,
            schema=self._schema,
            pool_size=source.size,
            pooler=source.pooled,
            migrate=self._migrate,
            command_timeout=source.command_timeout,
        )

    # Migrates

    async def pending_migrations(self) -> list[Migration]:
        """Return what the schema lacks, with the SQL of each step."""
        return await _migrating.pending(self._source, self._schema)

    async def migrate(self) -> list[Migration]:
        """Bring the schema to the newest version, also with the option `migrate=False`."""
        return await _migrating.migrate(self._source, self._schema)

    # Producer

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        """Store jobs, each at most once, in one statement."""
        client, at = self._opened(), moment(now)
        check_jobs(self._info, jobs)
        if not jobs:
            return []
        return await self._enqueue(client, jobs, at)

    # Consumer

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        """Take ready jobs of each queue that is not paused."""
        client, at = self._opened(), moment(now)
        check_claim(self._info, wants, worker, lease)
        length = micros(lease)
        return await _claim.claim(client, wants, worker, length, at)

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        """Move the expiry of every valid lease."""
        client, at = self._opened(), moment(now)
        check_extensions(self._info, items)
        check_lease(lease)
        if not items:
            return []
        return await _settle.extend(client, items, micros(lease), at)

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        """End leases, each with its outcome."""
        client, at = self._opened(), moment(now)
        check_settlements(self._info, items)
        if not items:
            return []
        return await _settle.settle(client, items, at)

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        """Make due jobs ready."""
        client, at = self._opened(), moment(now)
        check_limit("limit", limit)
        return await _maintain.promote(client, queues, limit, at)

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
        return await _maintain.reap(client, queues, limit, length, error, at)

    # Inspector

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        """Return the record of each key, where there is one."""
        client = self._opened()
        check_keys(self._info, keys)
        return await _inspect.get(client, keys) if keys else []

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        """Return the state of each key, where there is one."""
        client = self._opened()
        check_keys(self._info, keys)
        return await _inspect.states(client, keys) if keys else []

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        """Return a page of the jobs that match, in the byte order of their ids."""
        client = self._opened()
        check_query(query)
        after = None if cursor is None else _inspect.cursor_id(cursor)
        return await _inspect.search(client, queue, query, after)

    async def queues(self) -> list[str]:
        """Return every queue that holds a job, a schedule or a pause."""
        return await _inspect.queues(self._opened())

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        """Count the jobs of each queue by state."""
        client, at = self._opened(), moment(now)
        check_limit("cap", cap)
        return await _inspect.stats(client, queues, cap, at)

    # Admin

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        """Cancel pending jobs; ask the workers of running ones."""
        client, at = self._opened(), moment(now)
        check_cancel(self._info, keys, reason)
        return await _admin.cancel(client, keys, reason, at) if keys else []

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        """Let failed and cancelled jobs begin anew."""
        client, at = self._opened(), moment(now)
        check_keys(self._info, keys)
        return await _admin.retry(client, keys, at) if keys else []

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        """Move pending jobs to another time."""
        client, at = self._opened(), moment(now)
        check_when(when)
        check_keys(self._info, keys)
        return await _admin.reschedule(client, keys, when, at) if keys else []

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        """Delete jobs in any state."""
        client = self._opened()
        check_keys(self._info, keys)
        return await _admin.remove(client, keys) if keys else []

    async def pause(self, queue: str, paused: bool) -> None:
        """Pause or resume a queue."""
        client = self._opened()
        check_text("queue", queue)
        await _admin.pause(client, queue, paused)

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        """Delete terminal records that nothing keeps."""
        client, at = self._opened(), moment(now)
        check_purge(policy, limit)
        return await _maintain.purge(client, queue, policy, limit, at)

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
        return await _schedules.put(client, queue, name, definition, next_at, at)

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
        async with client.together() as db:
            return await _schedules.fire(db, queue, name, expected_version, tick, jobs, at)

    async def list_schedules(
        self, queues: Sequence[str], *, now: datetime | None = None
    ) -> ScheduleBook:
        """Return the schedules of these queues."""
        client, at = self._opened(), moment(now)
        return await _schedules.listed(client, queues, at)

    async def remove_schedule(self, queue: str, name: str) -> bool:
        """Delete a schedule."""
        client = self._opened()
        return await _schedules.remove(client, queue, name)

    # Definitions

    async def put_definitions(self, prefix: str, definitions: Sequence[Definition]) -> None:
        """Keep what jobs are, for those who call the function `schedule` of the schema."""
        client = self._opened()
        await _definitions.put(client, prefix, definitions)

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
        await _presence.announce(client, worker, queues, length, info, at)

    async def withdraw(self, worker: str) -> None:
        """Say that a worker has stopped."""
        client = self._opened()
        await _presence.withdraw(client, worker)

    async def workers(self, *, now: datetime | None = None) -> list[WorkerPresence]:
        """Return the workers that are alive."""
        client, at = self._opened(), moment(now)
        return await _presence.workers(client, at)

    # Transactional

    async def enqueue_in(
        self,
        connection: Any,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> list[Enqueued]:
        """Do `enqueue` inside the transaction that is open on `connection`.

        It is a connection of asyncpg or psycopg, or an `AsyncSession` or `AsyncConnection` of
        SQLAlchemy.
        """
        self._opened()
        at = moment(now)
        check_jobs(self._info, jobs)
        db = await self._joined(connection)
        if not jobs:
            return []
        queues = sorted({job.key.queue for job in jobs})
        return await _enqueue.enqueue(db, jobs, at, hints=queues, patience=None)

    async def settle_in(
        self, connection: Any, item: Settlement, *, now: datetime | None = None
    ) -> Settled:
        """Do `settle` for one `Complete` inside the transaction open on `connection`.

        From here on the transaction may be idle for five seconds; then the server ends it.
        """
        self._opened()
        at = moment(now)
        check_settlements(self._info, [item])
        if not isinstance(item.outcome, Complete):
            raise InvalidInput("only a Complete can be settled inside a user's transaction")
        db = await self._joined(connection)
        return (await _settle.settle(db, [item], at, idle=_IDLE))[0]

    def transaction(
        self, connection: Any = None, *, lease: timedelta
    ) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction and end it: commit when the block ends well, else roll back.

        Without a `connection` one of the driver's pool is borrowed. Its isolation level is read
        committed, whatever the default of the connection.
        """
        client = self._opened()
        check_lease(lease)
        if connection is None:
            return Block(client, None)
        return _foreign.block(client, connection)

    async def _enqueue(
        self, client: Client, jobs: Sequence[NewJob], now: int | None
    ) -> list[Enqueued]:
        queues = {job.key.queue for job in jobs}
        with client.hints.with_commit_of(queues) as due:
            return await _enqueue.enqueue(client, jobs, now, hints=due)

    async def _joined(self, connection: object) -> OnConnection:
        return OnConnection(await _foreign.joined(connection), self._schema)

    def _opened(self) -> Client:
        client = self._client
        if client is None:
            raise DriverClosed(f"{self!r} is not open")
        if client.is_inherited:
            raise DriverClosed(
                f"{self!r} was opened before this process was forked: fork first and open then, "
                "or start processes in another way (spawn)"
            )
        return client


def _source(server: object, pool_size: int, pooler: bool, command_timeout: float) -> Source:
    if isinstance(server, str):
        return Own(server, pool_size, pooled=pooler, command_timeout=command_timeout)
    if not is_pool(server):
        raise InvalidInput(f"a URL or an asyncpg.Pool is needed, not {type(server).__name__}")
    if pooler:
        raise InvalidInput(
            "pooler=True is for the driver's own pool: how yours connects is up to you"
        )
    return Users(as_pool(server), command_timeout)
