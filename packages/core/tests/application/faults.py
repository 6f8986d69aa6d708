"""A driver around another one, for tests: it fails, dies and hesitates where it is told to.

Example::

    driver = Faulty(driver_for(url))
    driver.faults["settle"] = unanswered(3, applied=True)
    app = Stoker(driver, jobs=[router])
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from stoker.driver import (
    Changed,
    Claimed,
    Driver,
    DriverInfo,
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
    Presence,
    Promoted,
    QueueStats,
    Reaped,
    Retention,
    Schedule,
    ScheduleBook,
    Schedules,
    Settled,
    Settlement,
    Transactional,
    Wake,
    Wakeup,
    Want,
    When,
    WorkerPresence,
)
from stoker.errors import DriverUnavailable

__all__ = ["Fault", "Faulty", "Gate", "Outage", "dying", "unanswered"]

T = TypeVar("T")
Call: TypeAlias = Callable[[], Awaitable[Any]]
Fault: TypeAlias = Callable[[Call], Awaitable[Any]]
"""Stands in for one operation: given the real call, it answers, or does not."""


def unanswered(times: int, *, applied: bool, error: Exception | None = None) -> Fault:
    """Return a fault that loses so many answers, before or after the store did its work."""
    left = times

    async def fault(call: Call) -> Any:
        nonlocal left
        if left == 0:
            return await call()
        left -= 1
        if applied:
            await call()
        raise error or DriverUnavailable("no answer, says the test", maybe_applied=applied)

    return fault


def dying(error: Exception) -> Fault:
    """Return a fault that raises what no driver may raise."""

    async def fault(_: Call) -> Any:
        raise error

    return fault


class Outage:
    """A store that cannot be reached until `end` is called."""

    def __init__(self) -> None:
        self._down = True
        self.noticed = asyncio.Event()
        """Set when someone has called in vain."""

    def end(self) -> None:
        """Let the store answer again."""
        self._down = False

    async def __call__(self, call: Call) -> Any:
        if self._down:
            self.noticed.set()
            raise DriverUnavailable("the store is away, says the test", maybe_applied=False)
        return await call()


class Gate:
    """Holds calls back until it is opened: before the store does its work, or after."""

    def __init__(self, *, after: bool = False, only: int | None = None) -> None:
        self._after = after
        self._left = only
        self.reached = asyncio.Event()
        """Set when a call waits at the gate."""
        self._opened = asyncio.Event()

    def open(self) -> None:
        """Let those who wait pass, and all that come."""
        self._opened.set()

    async def __call__(self, call: Call) -> Any:
        if self._left == 0:
            return await call()
        if self._left is not None:
            self._left -= 1
        if not self._after:
            await self._wait()
            return await call()
        answer = await call()
        await self._wait()
        return answer

    async def _wait(self) -> None:
        self.reached.set()
        await self._opened.wait()


class Faulty(Driver, Wakeup, Schedules, Presence, Transactional[Any]):
    """Passes every operation on to `inner`, through its fault if it has one.

    Args:
        inner: the driver that does the work; its capabilities are declared as they are.
        info: fields of its `info` to replace, such as `max_batch=2`.
    """

    def __init__(self, inner: Any, **info: Any) -> None:
        self.inner: Any = inner
        self._info: DriverInfo = replace(inner.info, **info)
        self.faults: dict[str, Fault] = {}
        """By the operation's name; `commit` is the end of a `transaction` block."""
        self.answers: list[tuple[str, Any]] = []
        """Every answer that came back, with the operation's name."""
        self.calls: Counter[str] = Counter()
        """How often each operation was called."""
        self.roll_back: Callable[[], Awaitable[None]]
        """For a fault of `commit`: ends the transaction the other way."""
        self._answered = asyncio.Event()

    async def called(self, operation: str, times: int = 1) -> None:
        """Wait until an operation has been answered so many times from now on."""
        wanted = self._count(operation) + times
        while self._count(operation) < wanted:
            self._answered.clear()
            await self._answered.wait()

    def answered(self, operation: str) -> list[Any]:
        """Return all answers to one operation."""
        return [answer for name, answer in self.answers if name == operation]

    def _count(self, operation: str) -> int:
        return sum(1 for name, _ in self.answers if name == operation)

    async def _do(self, operation: str, call: Callable[[], Awaitable[T]]) -> T:
        self.calls[operation] += 1
        fault = self.faults.get(operation)
        answer: T = await (call() if fault is None else fault(call))
        self.answers.append((operation, answer))
        self._answered.set()
        return answer

    # Life cycle

    @property
    def info(self) -> DriverInfo:
        return self._info

    async def open(self) -> None:
        await self._do("open", self.inner.open)

    async def close(self) -> None:
        await self._do("close", self.inner.close)

    def clone(self) -> Faulty:
        return Faulty(self.inner.clone())

    # Producer and consumer

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return await self._do("enqueue", lambda: self.inner.enqueue(jobs, now=now))

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        return await self._do(
            "claim", lambda: self.inner.claim(wants, worker=worker, lease=lease, now=now)
        )

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        return await self._do("extend", lambda: self.inner.extend(items, lease=lease, now=now))

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        return await self._do("settle", lambda: self.inner.settle(items, now=now))

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        return await self._do("promote", lambda: self.inner.promote(queues, limit=limit, now=now))

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        return await self._do(
            "reap",
            lambda: self.inner.reap(queues, limit=limit, delay=delay, error=error, now=now),
        )

    # Inspector

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        return await self._do("get", lambda: self.inner.get(keys))

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        return await self._do("states", lambda: self.inner.states(keys))

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        return await self._do("search", lambda: self.inner.search(queue, query, cursor))

    async def queues(self) -> list[str]:
        return await self._do("queues", self.inner.queues)

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        return await self._do("stats", lambda: self.inner.stats(queues, cap=cap, now=now))

    # Admin

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        return await self._do("cancel", lambda: self.inner.cancel(keys, reason=reason, now=now))

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        return await self._do("retry", lambda: self.inner.retry(keys, now=now))

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        return await self._do("reschedule", lambda: self.inner.reschedule(keys, when, now=now))

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        return await self._do("remove", lambda: self.inner.remove(keys))

    async def pause(self, queue: str, paused: bool) -> None:
        await self._do("pause", lambda: self.inner.pause(queue, paused))

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        return await self._do(
            "purge", lambda: self.inner.purge(queue, policy, limit=limit, now=now)
        )

    # Capabilities

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        return await self._do("wait", lambda: self.inner.wait(queues, timeout))

    async def put_schedule(
        self,
        queue: str,
        name: str,
        definition: bytes,
        next_at: When,
        *,
        now: datetime | None = None,
    ) -> Schedule:
        return await self._do(
            "put_schedule",
            lambda: self.inner.put_schedule(queue, name, definition, next_at, now=now),
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
        return await self._do(
            "fire_schedule",
            lambda: self.inner.fire_schedule(queue, name, expected_version, next_at, jobs, now=now),
        )

    async def list_schedules(
        self, queues: Sequence[str], *, now: datetime | None = None
    ) -> ScheduleBook:
        return await self._do("list_schedules", lambda: self.inner.list_schedules(queues, now=now))

    async def remove_schedule(self, queue: str, name: str) -> bool:
        return await self._do("remove_schedule", lambda: self.inner.remove_schedule(queue, name))

    async def announce(
        self,
        worker: str,
        queues: Sequence[str],
        ttl: timedelta,
        info: bytes,
        *,
        now: datetime | None = None,
    ) -> None:
        await self._do("announce", lambda: self.inner.announce(worker, queues, ttl, info, now=now))

    async def withdraw(self, worker: str) -> None:
        await self._do("withdraw", lambda: self.inner.withdraw(worker))

    async def workers(self, *, now: datetime | None = None) -> list[WorkerPresence]:
        return await self._do("workers", lambda: self.inner.workers(now=now))

    async def enqueue_in(
        self, connection: Any, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return await self._do(
            "enqueue_in", lambda: self.inner.enqueue_in(connection, jobs, now=now)
        )

    async def settle_in(
        self, connection: Any, item: Settlement, *, now: datetime | None = None
    ) -> Settled:
        return await self._do("settle_in", lambda: self.inner.settle_in(connection, item, now=now))

    @asynccontextmanager
    async def transaction(self, connection: Any = None, *, lease: timedelta) -> AsyncIterator[Any]:
        block: AbstractAsyncContextManager[Any] = self.inner.transaction(connection, lease=lease)
        lent = await block.__aenter__()
        try:
            yield lent
        except BaseException as error:
            await block.__aexit__(type(error), error, error.__traceback__)
            raise

        async def roll_back() -> None:
            error = RuntimeError("the test rolls back")
            await block.__aexit__(RuntimeError, error, None)

        self.roll_back = roll_back
        await self._do("commit", lambda: block.__aexit__(None, None, None))
