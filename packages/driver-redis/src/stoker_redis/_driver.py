"""The driver: the contract's operations, each handed to the module that knows how."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Final, Self

from stoker.driver import (
    Capability,
    Changed,
    Claimed,
    ClockSource,
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
from stoker_redis import (
    _admin,
    _claim,
    _enqueue,
    _inspect,
    _maintain,
    _presence,
    _schedules,
    _settle,
)
from stoker_redis._client import Client
from stoker_redis._keys import check_prefix
from stoker_redis._server import check_persistence
from stoker_redis._source import AnyClient, source_of
from stoker_redis._store import Store
from stoker_redis._times import micros, moment
from stoker_redis._url import parted

__all__ = ["RedisDriver"]

DEFAULT_PREFIX: Final = "stoker"


class RedisDriver:
    """Jobs in a Redis or Valkey server, a cluster of them, or in what Sentinels call the primary.

        driver = RedisDriver("redis://:secret@redis.example/0", prefix="shop")
        driver = RedisDriver(redis.asyncio.Redis(...))
        driver = RedisDriver.from_url("redis+cluster://redis.example:6379?prefix=shop")

    Args:
        server: a URL, or a client of redis-py that is yours. What it says of the server is used
            (addresses, credentials, encryption); its connections stay yours, since a client that
            sends a command again on its own could run it twice.
        prefix: begins the name of every key. Several stores may be side by side.
        pool_size: the most connections to a server, besides one that waits for hints.
        persistence: what the server has to be set to, or `open` refuses it: "none", "everysec" or
            "always" (as `appendfsync`). With "always" the driver declares that what it
            acknowledged survives a restart; with "everysec" it nearly always does.
        replicas: so many replicas must have a new job before an enqueue returns.

    Raises:
        InvalidInput: an option is out of its range.
    """

    def __init__(
        self,
        server: str | AnyClient,
        *,
        prefix: str = DEFAULT_PREFIX,
        pool_size: int = 10,
        persistence: str = "none",
        replicas: int = 0,
    ) -> None:
        self._server = server
        self._source = source_of(server)
        check_prefix(prefix)
        check_persistence(persistence)
        if not 1 <= pool_size <= 1_000:
            raise InvalidInput(f"pool_size={pool_size}: 1 to 1,000")
        if not 0 <= replicas <= 100:
            raise InvalidInput(f"replicas={replicas}: 0 to 100")
        self._prefix = prefix
        self._pool_size = pool_size
        self._persistence = persistence
        self._replicas = replicas
        self._store: Store | None = None
        self._opening = asyncio.Lock()
        without = {Capability.TRANSACTIONAL}
        # With 'everysec' the server answers while a write waits for the fsync before it.
        if persistence != "always":
            without.add(Capability.DURABLE_RESTART)
        self._info = DriverInfo(
            name="redis",
            version=version("stoker-redis"),
            capabilities=frozenset(Capability) - without,
            scope=Scope.NETWORK,
            clock=ClockSource.SERVER,
            durability=Durability.DURABLE if persistence == "always" else Durability.BUFFERED,
        )

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return a driver for `redis://user:password@host:port/database` and its kin.

        The parameters `prefix`, `pool_size`, `persistence` and `replicas` are the options of the
        driver.

        Raises:
            InvalidInput: the URL has another form, or an option is out of its range.
        """
        server, options = parted(url)
        return cls(server, **options)

    def __repr__(self) -> str:
        return f"RedisDriver({self._source.where!r}, prefix={self._prefix!r})"

    # Life cycle

    @property
    def info(self) -> DriverInfo:
        """What this driver is and promises."""
        return self._info

    async def open(self) -> None:
        """Connect, and look at the server.

        Raises:
            DriverUnavailable: nobody answers.
            IncompatibleStore: the server is too old, does not let the user in, or is not set as it
                has to be, or another version of the driver has written what is there; says what
                to do.
        """
        async with self._opening:
            if self._store is None:
                client = await Client.open(
                    self._source,
                    self._prefix,
                    pool_size=self._pool_size,
                    persistence=self._persistence,
                    replicas=self._replicas,
                )
                store = Store(client)
                try:
                    await store.check_layout()
                except BaseException:
                    await client.close()
                    raise
                self._store = store

    async def close(self) -> None:
        """Let operations in flight end (5 s), then fail them; close all connections."""
        store, self._store = self._store, None
        if store is not None and not store.client.is_inherited:
            await store.client.close()

    def clone(self) -> Self:
        """Return an independent, unopened driver of the same store.

        Raises:
            Unsupported: around a client of the user, which belongs to one loop.
        """
        if self._source.is_users:
            raise Unsupported("a driver around a client of yours cannot be cloned: make another")
        return type(self)(
            self._server,
            prefix=self._prefix,
            pool_size=self._pool_size,
            persistence=self._persistence,
            replicas=self._replicas,
        )

    # Producer

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        """Store jobs, each at most once, in one step a queue."""
        store, at = self._opened(), moment(now)
        check_jobs(self._info, jobs)
        if not jobs:
            return []
        return await _enqueue.enqueue(store, jobs, at)

    # Consumer

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        """Take ready jobs of each queue that is not paused."""
        store, at = self._opened(), moment(now)
        check_claim(self._info, wants, worker, lease)
        length = micros(lease)
        return await _claim.claim(store, wants, worker, length, at)

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        """Move the expiry of every valid lease."""
        store, at = self._opened(), moment(now)
        check_extensions(self._info, items)
        check_lease(lease)
        if not items:
            return []
        return await _settle.extend(store, items, micros(lease), at)

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        """End leases, each with its outcome."""
        store, at = self._opened(), moment(now)
        check_settlements(self._info, items)
        if not items:
            return []
        return await _settle.settle(store, items, at)

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        """Make due jobs ready."""
        store, at = self._opened(), moment(now)
        check_limit("limit", limit)
        return await _maintain.promote(store, queues, limit, at)

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
        store, at = self._opened(), moment(now)
        check_reap(limit, delay, error)
        length = micros(delay)
        return await _maintain.reap(store, queues, limit, length, error, at)

    # Inspector

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        """Return the record of each key, where there is one."""
        store = self._opened()
        check_keys(self._info, keys)
        return await _inspect.get(store, keys) if keys else []

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        """Return the state of each key, where there is one."""
        store = self._opened()
        check_keys(self._info, keys)
        return await _inspect.states(store, keys) if keys else []

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        """Return a page of the jobs that match, in the byte order of their ids."""
        store = self._opened()
        check_query(query)
        after = None if cursor is None else _inspect.cursor_id(cursor)
        return await _inspect.search(store, queue, query, after)

    async def queues(self) -> list[str]:
        """Return every queue that holds a job, a schedule or a pause."""
        return await _inspect.queues(self._opened())

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        """Count the jobs of each queue by state."""
        store, at = self._opened(), moment(now)
        check_limit("cap", cap)
        return await _inspect.stats(store, queues, cap, at)

    # Admin

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        """Cancel pending jobs; ask the workers of running ones."""
        store, at = self._opened(), moment(now)
        check_cancel(self._info, keys, reason)
        return await _admin.cancel(store, keys, reason, at) if keys else []

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        """Let failed and cancelled jobs begin anew."""
        store, at = self._opened(), moment(now)
        check_keys(self._info, keys)
        return await _admin.retry(store, keys, at) if keys else []

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        """Move pending jobs to another time."""
        store, at = self._opened(), moment(now)
        check_when(when)
        check_keys(self._info, keys)
        return await _admin.reschedule(store, keys, when, at) if keys else []

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        """Delete jobs in any state."""
        store = self._opened()
        check_keys(self._info, keys)
        return await _admin.remove(store, keys) if keys else []

    async def pause(self, queue: str, paused: bool) -> None:
        """Pause or resume a queue."""
        store = self._opened()
        check_text("queue", queue)
        await _admin.pause(store, queue, paused)

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        """Delete terminal records that nothing keeps."""
        store, at = self._opened(), moment(now)
        check_purge(policy, limit)
        return await _maintain.purge(store, queue, policy, limit, at)

    # Wakeup

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        """Wait until there may be something to do in one of these queues."""
        return await self._opened().client.wait(queues, timeout)

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
        store, at = self._opened(), moment(now)
        check_text("queue", queue)
        check_text("schedule", name)
        check_when(next_at)
        return await _schedules.put(store, queue, name, definition, next_at, at)

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
        """Fire the tick that is due, and store its jobs, in one step."""
        store, at = self._opened(), moment(now)
        check_fire(self._info, queue, next_at, jobs)
        tick = None if next_at is None else to_micros(next_at)
        return await _schedules.fire(store, queue, name, expected_version, tick, jobs, at)

    async def list_schedules(
        self, queues: Sequence[str], *, now: datetime | None = None
    ) -> ScheduleBook:
        """Return the schedules of these queues."""
        store, at = self._opened(), moment(now)
        return await _schedules.listed(store, queues, at)

    async def remove_schedule(self, queue: str, name: str) -> bool:
        """Delete a schedule."""
        store = self._opened()
        return await _schedules.remove(store, queue, name)

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
        store, at = self._opened(), moment(now)
        check_text("worker", worker)
        check_lease(ttl)
        length = micros(ttl)
        await _presence.announce(store, worker, queues, length, info, at)

    async def withdraw(self, worker: str) -> None:
        """Say that a worker has stopped."""
        store = self._opened()
        await _presence.withdraw(store, worker)

    async def workers(self, *, now: datetime | None = None) -> list[WorkerPresence]:
        """Return the workers that are alive."""
        store, at = self._opened(), moment(now)
        return await _presence.workers(store, at)

    def _opened(self) -> Store:
        store = self._store
        if store is None:
            raise DriverClosed(f"{self!r} is not open")
        if store.client.is_inherited:
            raise DriverClosed(
                f"{self!r} was opened before this process was forked: fork first and open then, "
                "or start processes in another way (spawn)"
            )
        return store
