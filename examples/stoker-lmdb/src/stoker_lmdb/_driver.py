"""The driver: checks what it is asked, and has it done in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self, TypeVar
from urllib.parse import unquote, urlsplit

from stoker.driver import (
    Changed,
    Claimed,
    ClockSource,
    DriverInfo,
    Durability,
    Enqueued,
    Extended,
    Extension,
    JobQuery,
    JobRecord,
    NewJob,
    Page,
    Promoted,
    QueueStats,
    Reaped,
    Retention,
    Scope,
    Settled,
    Settlement,
    Want,
    When,
)
from stoker.driver.checks import (
    check_cancel,
    check_claim,
    check_extensions,
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
from stoker.job import JobKey, JobState
from stoker_lmdb import _admin, _consume, _inspect
from stoker_lmdb._store import Store
from stoker_lmdb._thread import StoreThread

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_INFO: Final = DriverInfo(
    name="lmdb",
    version=version("stoker-lmdb"),
    capabilities=frozenset(),
    scope=Scope.HOST,
    clock=ClockSource.PROCESS,
    durability=Durability.DURABLE,
)


class LmdbDriver:
    """Jobs in an LMDB environment, for the processes of one host.

    Args:
        path: the folder of the environment; it is made if its parent is there.
        map_size: the most bytes that the store may grow to. They are taken from the address
            space at once, and from the disk when they are needed.
    """

    def __init__(self, path: str | Path, *, map_size: int = 16 * 1024**3) -> None:
        self._path = Path(path)
        self._map_size = map_size
        self._opened: StoreThread | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return a driver for `lmdb:///folder`; an absolute path has four slashes.

        Raises:
            InvalidInput: for any other form of URL.
        """
        parts = urlsplit(url)
        if parts.netloc or parts.query or parts.fragment or len(parts.path) < 2:
            raise InvalidInput(f"{url!r}: write lmdb:///folder, or lmdb:////absolute/folder")
        return cls(unquote(parts.path[1:]))

    @property
    def info(self) -> DriverInfo:
        return _INFO

    async def open(self) -> None:
        if self._opened is not None:
            return
        thread = StoreThread()
        await thread.open(self._path, self._map_size)
        if self._opened is None:
            self._opened = thread
        else:  # another task was faster
            await thread.close()

    async def close(self) -> None:
        thread, self._opened = self._opened, None
        if thread is not None:
            await thread.close()

    def clone(self) -> Self:
        return type(self)(self._path, map_size=self._map_size)

    # Producer

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        check_jobs(self.info, jobs)
        return await self._each(partial(_consume.enqueue, seen=set()), jobs, now)

    # Consumer

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        check_claim(self.info, wants, worker, lease)
        claim = partial(_consume.claim, wants=wants, worker=worker, lease=lease)
        return await self._thread.write(claim, now)

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        check_extensions(self.info, items)
        check_lease(lease)
        return await self._each(partial(_consume.extend, lease=lease), items, now)

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        check_settlements(self.info, items)
        return await self._each(_consume.settle, items, now)

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        check_limit("limit", limit)
        promote = partial(_consume.promote, queues=queues, limit=limit)
        return await self._thread.write(promote, now)

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        check_reap(limit, delay, error)
        reap = partial(_consume.reap, queues=queues, limit=limit, delay=delay, error=error)
        return await self._thread.write(reap, now)

    # Inspector

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        check_keys(self.info, keys)
        return await self._each(_inspect.get, keys, write=False)

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        check_keys(self.info, keys)
        return await self._each(_inspect.state, keys, write=False)

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        check_query(query)
        if cursor is not None:
            check_text("cursor", cursor)
        search = partial(_inspect.search, queue=queue, query=query, cursor=cursor)
        return await self._thread.read(search)

    async def queues(self) -> list[str]:
        return sorted(await self._thread.read(Store.queues))

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        check_limit("cap", cap)
        stats = partial(_inspect.stats, queues=queues, cap=cap)
        return await self._thread.read(stats, now)

    # Admin

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        check_cancel(self.info, keys, reason)
        return await self._each(partial(_admin.cancel, reason=reason), keys, now)

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        check_keys(self.info, keys)
        return await self._each(_admin.retry, keys, now)

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        check_keys(self.info, keys)
        check_when(when)
        return await self._each(partial(_admin.reschedule, when=when), keys, now)

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        check_keys(self.info, keys)
        return await self._each(_admin.remove, keys)

    async def pause(self, queue: str, paused: bool) -> None:
        check_text("queue", queue)
        await self._thread.write(partial(Store.pause, queue=queue, paused=paused))

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        check_purge(policy, limit)
        purge = partial(_admin.purge, queue=queue, policy=policy, limit=limit)
        return await self._thread.write(purge, now)

    # Below, there are transactions only

    @property
    def _thread(self) -> StoreThread:
        if self._opened is None:
            raise DriverClosed("the LMDB driver is not open")
        return self._opened

    async def _each(
        self,
        step: Callable[[Store, Item], Answer],
        items: Sequence[Item],
        now: datetime | None = None,
        *,
        write: bool = True,
    ) -> list[Answer]:
        """Do a step for each item, all in one transaction: the answers come aligned."""
        thread = self._thread
        if not items:
            return []
        transact = thread.write if write else thread.read
        return await transact(lambda store: [step(store, item) for item in items], now)
