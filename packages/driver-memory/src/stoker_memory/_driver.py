"""The driver: checks, then the store, under its lock."""

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
    Driver,
    DriverInfo,
    Durability,
    Enqueued,
    Extended,
    Extension,
    Fired,
    FireStatus,
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
    Scope,
    Settled,
    Settlement,
    Wake,
    Wakeup,
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
from stoker_memory import _admin, _enqueue, _inspect, _leases, _purge, _reap
from stoker_memory._hints import Waiter
from stoker_memory._store import Store, named_store
from stoker_memory._times import instant, micros, moment
from stoker_memory._url import store_name

__all__ = ["MemoryDriver"]

INFO: Final = DriverInfo(
    name="memory",
    version=version("stoker-memory"),
    capabilities=frozenset(
        {
            Capability.WAKEUP,
            Capability.SCHEDULE,
            Capability.UNIQUE,
            Capability.PRIORITY,
            Capability.RESULTS,
            Capability.PRESENCE,
        }
    ),
    scope=Scope.PROCESS,
    clock=ClockSource.PROCESS,
    durability=Durability.MEMORY,
)


class MemoryDriver(Driver, Wakeup, Schedules, Presence):
    """A client of a store in the memory of this process.

    `memory://` is a new store, private to this object and its clones. `memory://name` is the one
    store of that name in the process; it is kept for the life of the process, so an application
    that closes and opens again finds its jobs. Clients may be in different threads and on
    different event loops. Everything is lost when the process ends.

    What the operations promise is written in `stoker.driver`. All but `wait` complete without
    suspending, in microseconds a job: a loop of nothing but these calls lets no other task run.

    Example:
        ```python
        driver = MemoryDriver("memory://")
        await driver.open()
        await driver.enqueue([NewJob(JobKey("mails", "1"), "mails.send", b'{"to": "ada"}')])
        await driver.close()
        ```

    Raises:
        InvalidInput: the URL is not one of these forms; it takes no parameters.
    """

    def __init__(self, url: str = "memory://") -> None:
        name = store_name(url)
        self._url = url
        self._store = Store() if name is None else named_store(name)
        self._open = False
        self._waiter = Waiter()

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Return an unopened client of the store that `url` means."""
        return cls(url)

    # Life cycle

    @property
    def info(self) -> DriverInfo:
        return INFO

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        waiter, self._waiter = self._waiter, Waiter()
        self._open = False
        with self._store.lock:
            self._store.hints.unsubscribe(waiter)
            waiter.ring()

    def clone(self) -> Self:
        twin = type(self)(self._url)
        twin._store = self._store  # noqa: SLF001 (its own class)
        return twin

    def _opened(self) -> Store:
        if not self._open:
            raise DriverClosed("the driver is not open: call open() first")
        return self._store

    # Producer

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        store = self._opened()
        check_jobs(INFO, jobs)
        with store.lock:
            return _enqueue.enqueue(store, jobs, moment(now))

    # Consumer

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        store = self._opened()
        check_claim(INFO, wants, worker, lease)
        with store.lock:
            return _leases.claim(store, wants, worker, micros(lease), moment(now))

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        store = self._opened()
        check_extensions(INFO, items)
        check_lease(lease)
        with store.lock:
            return _leases.extend(store, items, micros(lease), moment(now))

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        store = self._opened()
        check_settlements(INFO, items)
        with store.lock:
            return _leases.settle(store, items, moment(now))

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        store = self._opened()
        check_limit("limit", limit)
        with store.lock:
            return _reap.promote(store, queues, limit, moment(now))

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        store = self._opened()
        check_reap(limit, delay, error)
        with store.lock:
            return _reap.reap(store, queues, limit, micros(delay), error, moment(now))

    # Inspector

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        store = self._opened()
        check_keys(INFO, keys)
        with store.lock:
            return _inspect.get(store, keys)

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        store = self._opened()
        check_keys(INFO, keys)
        with store.lock:
            return _inspect.states(store, keys)

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        store = self._opened()
        check_query(query)
        with store.lock:
            return _inspect.search(store, queue, query, cursor)

    async def queues(self) -> list[str]:
        store = self._opened()
        with store.lock:
            return _inspect.queues(store)

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        store = self._opened()
        check_limit("cap", cap)
        with store.lock:
            return _inspect.stats(store, queues, cap, moment(now))

    # Admin

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        store = self._opened()
        check_cancel(INFO, keys, reason)
        with store.lock:
            return _admin.cancel(store, keys, reason, moment(now))

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        store = self._opened()
        check_keys(INFO, keys)
        with store.lock:
            return _admin.retry(store, keys, moment(now))

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        store = self._opened()
        check_keys(INFO, keys)
        check_when(when)
        with store.lock:
            return _admin.reschedule(store, keys, when, moment(now))

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        store = self._opened()
        check_keys(INFO, keys)
        with store.lock:
            return _admin.remove(store, keys)

    async def pause(self, queue: str, paused: bool) -> None:
        store = self._opened()
        check_text("queue", queue)
        with store.lock:
            _admin.pause(store, queue, paused)

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        store = self._opened()
        check_purge(policy, limit)
        with store.lock:
            return _purge.purge(store, queue, policy, limit, moment(now))

    # Wakeup

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        store, waiter = self._opened(), self._waiter
        with store.lock:
            if waiter.sleeps:
                raise InvalidInput("a client has one waiter at a time, and this one is waiting")
            store.hints.subscribe(waiter, queues)
            hints = waiter.take(queues)
            if hints:
                return hints
            alarm = waiter.sleep(queues)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await alarm
        except TimeoutError:
            pass
        finally:
            with store.lock:
                waiter.rise()
        # Not when the wait was cancelled: then what has come is still there for the next one.
        with store.lock:
            return waiter.take(queues)

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
        store = self._opened()
        check_text("queue", queue)
        check_text("schedule", name)
        check_when(next_at)
        with store.lock:
            return store.schedules.put(queue, name, definition, next_at, moment(now))

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
        store = self._opened()
        check_fire(INFO, queue, next_at, jobs)
        tick = None if next_at is None else to_micros(next_at)
        with store.lock:
            at = moment(now)
            status = store.schedules.advance(queue, name, expected_version, tick, at)
            enqueued = _enqueue.enqueue(store, jobs, at) if status is FireStatus.FIRED else []
            return Fired(status, instant(at), enqueued, store.schedules.get(queue, name, at))

    async def list_schedules(
        self, queues: Sequence[str], *, now: datetime | None = None
    ) -> ScheduleBook:
        store = self._opened()
        with store.lock:
            at = moment(now)
            return ScheduleBook(store.schedules.list(queues, at), instant(at))

    async def remove_schedule(self, queue: str, name: str) -> bool:
        store = self._opened()
        with store.lock:
            return store.schedules.remove(queue, name)

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
        store = self._opened()
        check_text("worker", worker)
        check_lease(ttl)
        with store.lock:
            store.workers.announce(worker, queues, micros(ttl), info, moment(now))

    async def withdraw(self, worker: str) -> None:
        store = self._opened()
        with store.lock:
            store.workers.withdraw(worker)

    async def workers(self, *, now: datetime | None = None) -> list[WorkerPresence]:
        store = self._opened()
        with store.lock:
            return store.workers.list(moment(now))
