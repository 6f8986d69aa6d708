"""What the tests of the core share: a driver that is watched, leases made by hand, sites."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from stoker import JobOptions, Router, WorkerOptions
from stoker.app import DEFAULT_RETENTION
from stoker.clock import Clock
from stoker.driver import (
    Capability,
    Claimed,
    DriverInfo,
    Enqueued,
    Extended,
    Extension,
    JobKey,
    JobRecord,
    JobState,
    Lease,
    NewJob,
    Settled,
    Settlement,
    Token,
    Want,
)
from stoker.driver.checks import check_jobs
from stoker.errors import DriverUnavailable
from stoker.router import Catalogue, Entry
from stoker.testing import ManualClock
from stoker.worker import Site
from stoker_memory import MemoryDriver

__all__ = [
    "START",
    "SpyDriver",
    "away",
    "entry_of",
    "hold_back",
    "make_lease",
    "make_site",
    "soon",
    "turns",
    "until",
]

START = datetime(2030, 1, 1, tzinfo=UTC)


def away(*, maybe_applied: bool = False) -> DriverUnavailable:
    """An outage."""
    return DriverUnavailable("the store is away", maybe_applied=maybe_applied)


async def soon(awaitable: Awaitable[Any]) -> Any:
    """Await something that must not take long; a test never hangs."""
    return await asyncio.wait_for(awaitable, 10)


async def until(condition: Callable[[], object]) -> None:
    """Let other tasks go on until something is so; a test never hangs."""

    async def poll() -> None:
        while not condition():  # noqa: ASYNC110  there is no event for what a test waits for
            await asyncio.sleep(0)

    await soon(poll())


async def turns(count: int = 20) -> None:
    """Let other tasks go on for a while."""
    for _ in range(count):
        await asyncio.sleep(0)


def hold_back(driver: MemoryDriver, operation: str) -> tuple[asyncio.Event, asyncio.Event]:
    """Keep the calls of an operation from the store: events "one was made" and "let them go"."""
    asked, go = asyncio.Event(), asyncio.Event()
    real = getattr(driver, operation)

    async def wait(*args: Any, **more: Any) -> Any:
        asked.set()
        await go.wait()
        return await real(*args, **more)

    setattr(driver, operation, wait)
    return asked, go


class SpyDriver(MemoryDriver):
    """The memory driver, which notes every call, fails when told to, and has limits of choice."""

    def __init__(self, *, without: Sequence[Capability] = (), **limits: Any) -> None:
        super().__init__()
        info = super().info
        self._info = replace(info, capabilities=info.capabilities - frozenset(without), **limits)
        self.calls: dict[str, list[Any]] = {}
        """The arguments of the calls, by operation, failed ones included."""
        self.failures: dict[str, list[BaseException]] = {}
        """What the next calls of an operation raise, one after the other."""
        self.raises_always: dict[str, BaseException] = {}
        self.opened = 0
        self.closed = 0

    @property
    def info(self) -> DriverInfo:
        return self._info

    def clone(self) -> SpyDriver:
        twin = SpyDriver()
        twin._store = self._store
        return twin

    def _note(self, operation: str, argument: Any) -> None:
        self.calls.setdefault(operation, []).append(argument)
        if operation in self.raises_always:
            raise self.raises_always[operation]
        if self.failures.get(operation):
            raise self.failures[operation].pop(0)

    async def open(self) -> None:
        self.opened += 1
        await super().open()

    async def close(self) -> None:
        self.closed += 1
        await super().close()

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        self._note("enqueue", list(jobs))
        check_jobs(self._info, jobs)
        return await super().enqueue(jobs, now=now)

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        self._note("claim", list(wants))
        return await super().claim(wants, worker=worker, lease=lease, now=now)

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        self._note("settle", list(items))
        return await super().settle(items, now=now)

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        self._note("extend", list(items))
        return await super().extend(items, lease=lease, now=now)

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        self._note("states", list(keys))
        return await super().states(keys)

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        self._note("get", list(keys))
        return await super().get(keys)


def make_lease(name: str = "r.job", job_id: str = "1", **fields: Any) -> Lease:
    """A lease as a claim returns it."""
    given: dict[str, Any] = {
        "token": Token(JobKey("default", job_id), 1),
        "name": name,
        "payload": b"null",
        "payload_version": 1,
        "priority": 4,
        "attempt": 1,
        "max_attempts": 3,
        "crashes": 0,
        "snoozes": 0,
        "parked_since": None,
        "enqueued_at": START,
        "run_at": START,
        "claimed_at": START,
        "expires_at": START + timedelta(minutes=1),
        "expires": None,
        "timeout": None,
        "tags": (),
        "metadata": {},
        "headers": {},
    }
    return Lease(**{**given, **fields})


def entry_of(router: Router[Any], name: str = "job") -> Entry:
    """A job of a router as an app knows it."""
    return Catalogue([router], JobOptions()).named(f"{router.namespace}.{name}")


def make_site(
    driver: MemoryDriver,
    routers: Sequence[Router[Any]] = (),
    *,
    options: WorkerOptions | None = None,
    clock: Clock | None = None,
    ended: Callable[[JobKey], None] = lambda _: None,
) -> Site:
    """What the parts of a worker share, without an app around it."""
    app: Any = None
    return Site(
        driver=driver,
        catalogue=Catalogue(routers, JobOptions()),
        app=app,
        context=None,
        clock=clock or ManualClock(),
        random=Random(1),
        options=options or WorkerOptions(),
        prefix="",
        retention=DEFAULT_RETENTION,
        ended=ended,
    )
