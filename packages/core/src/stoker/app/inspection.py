"""Looking at jobs and changing them from outside: thin forms of the driver's operations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from stoker._units import Seconds
from stoker.app.waiting import Waiting
from stoker.clock import Clock
from stoker.driver import (
    Capability,
    Changed,
    ChangeStatus,
    Driver,
    JobKey,
    JobQuery,
    JobRecord,
    JobState,
    Page,
    QueueStats,
)
from stoker.errors import NotOpen
from stoker.router import CallOptions
from stoker.router.options import when_of

__all__ = ["Inspection"]

_BUSY_PAUSE: Final = 0.1
_BUSY_PATIENCE: Final = 5.0


class Inspection:
    """The part of an app that asks about jobs and changes them.

    Queues are named here as in the jobs' options; the app's prefix is added and taken away.
    """

    def __init__(self, driver: Driver, clock: Clock, prefix: str) -> None:
        self.driver = driver
        """The driver, for what the app has no form for."""
        self.clock = clock
        """Where the app's time comes from."""
        self.queue_prefix: str = f"{prefix}:" if prefix else ""
        """What the names of this app's queues begin with in the store; empty for none."""
        self._is_open = False
        self._waiting = Waiting(driver)

    def supports(self, capability: Capability) -> bool:
        """Return whether the driver has a capability."""
        return capability in self.driver.info.capabilities

    @property
    def keeps_results(self) -> bool:
        """Whether the driver keeps what handlers return."""
        return self.supports(Capability.RESULTS)

    async def queues(self) -> list[str]:
        """Return the queues of this app that hold a job, a schedule or a pause."""
        names = await self._driver_open().queues()
        prefix = self.queue_prefix
        # Neither a prefix nor a queue has a colon: what is between them tells whose it is.
        return sorted(
            name[len(prefix) :]
            for name in names
            if name.startswith(prefix) and ":" not in name[len(prefix) :]
        )

    async def get(self, job_id: str, *, queue: str | None = None) -> JobRecord | None:
        """Return the record of a job; without its `queue`, every queue is asked."""
        queues = [queue] if queue is not None else await self.queues()
        keys = [JobKey(self.queue_prefix + name, job_id) for name in queues]
        records = await self._driver_open().get(keys) if keys else []
        return next((self._shown(record) for record in records if record is not None), None)

    async def search(
        self,
        *,
        queue: str = "default",
        states: Collection[JobState | str] | None = None,
        names: Collection[str] | None = None,
        ids: Collection[str] | None = None,
        tags: Collection[str] = (),
        metadata: Mapping[str, str] | None = None,
        enqueued_from: datetime | None = None,
        enqueued_to: datetime | None = None,
        newest_first: bool = False,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """Return a page of the jobs of one queue that match every filter given.

        A page may be short, or even empty, while its `cursor` is not `None`: pass the cursor, with
        the same filters, to go on.

        Raises:
            InvalidInput: a limit that is not 1 to 1,000, or a naive datetime.
        """
        query = JobQuery(
            states=None if states is None else frozenset(JobState(state) for state in states),
            names=None if names is None else frozenset(names),
            ids=None if ids is None else frozenset(ids),
            tags=frozenset(tags),
            metadata=metadata or {},
            enqueued_from=enqueued_from,
            enqueued_to=enqueued_to,
            newest_first=newest_first,
            limit=limit,
        )
        page = await self._driver_open().search(self.queue_prefix + queue, query, cursor)
        return Page([self._shown(record) for record in page.records], page.cursor)

    async def stats(self, *queues: str, cap: int = 10_000) -> dict[str, QueueStats]:
        """Count the jobs of queues (all, if none is named) by state, exactly up to `cap`."""
        names = queues or tuple(await self.queues())
        stats = await self._driver_open().stats(
            [self.queue_prefix + name for name in names], cap=cap, now=self.clock.given()
        )
        return {name[len(self.queue_prefix) :]: counts for name, counts in stats.items()}

    async def pause(self, queue: str) -> None:
        """Let no worker take jobs of this queue any more; running ones go on."""
        await self._driver_open().pause(self.queue_prefix + queue, True)

    async def resume(self, queue: str) -> None:
        """End a pause."""
        await self._driver_open().pause(self.queue_prefix + queue, False)

    async def cancel(
        self, job_id: str, *, queue: str | None = None, reason: str = "cancelled"
    ) -> Changed:
        """Cancel a job: at once if it waits (`DONE`), by asking its worker if it runs
        (`REQUESTED`)."""
        driver, now = self._driver_open(), self.clock.given()
        return await self._change(
            job_id, queue, lambda keys: driver.cancel(keys, reason=reason, now=now)
        )

    async def retry(self, job_id: str, *, queue: str | None = None) -> Changed:
        """Make a failed or cancelled job ready again, with all its attempts."""
        driver, now = self._driver_open(), self.clock.given()
        return await self._change(job_id, queue, lambda keys: driver.retry(keys, now=now))

    async def reschedule(
        self,
        job_id: str,
        *,
        queue: str | None = None,
        delay: Seconds | None = None,
        at: datetime | None = None,
    ) -> Changed:
        """Move a waiting job to another time; neither `delay` nor `at` means now.

        Raises:
            InvalidTime: for both, a negative delay, or a naive datetime.
        """
        options = CallOptions()
        if delay is not None:
            options["delay"] = delay
        if at is not None:
            options["at"] = at
        when = when_of(options)
        driver, now = self._driver_open(), self.clock.given()
        return await self._change(
            job_id, queue, lambda keys: driver.reschedule(keys, when, now=now)
        )

    async def remove(self, job_id: str, *, queue: str | None = None) -> Changed:
        """Delete a job's record, whatever its state."""
        driver = self._driver_open()
        return await self._change(job_id, queue, driver.remove)

    async def state(self, key: JobKey) -> JobState | None:
        """Return the state of a job; `None` when the store keeps no record of it."""
        (state,) = await self._driver_open().states([self._stored(key)])
        return state

    async def until_ended(self, key: JobKey) -> JobRecord | None:
        """Wait until a job has ended, and return its record; `None` when there is none."""
        self._driver_open()
        if await self._waiting.until_ended(self._stored(key)) is None:
            return None
        return await self.get(key.id, queue=key.queue)

    def _driver_open(self) -> Driver:
        if not self._is_open:
            raise NotOpen(
                "the app is not open: use it inside of 'async with app:', or call "
                "'await app.open()' first"
            )
        return self.driver

    def _stored(self, key: JobKey) -> JobKey:
        return JobKey(self.queue_prefix + key.queue, key.id) if self.queue_prefix else key

    def _shown(self, record: JobRecord) -> JobRecord:
        if not self.queue_prefix:
            return record
        queue, job_id = record.key
        return replace(record, key=JobKey(queue[len(self.queue_prefix) :], job_id))

    async def _change(
        self,
        job_id: str,
        queue: str | None,
        operation: Callable[[list[JobKey]], Awaitable[list[Changed]]],
    ) -> Changed:
        if queue is None:
            record = await self.get(job_id)
            if record is None:
                return Changed(ChangeStatus.GONE)
            queue = record.key.queue
        keys = [JobKey(self.queue_prefix + queue, job_id)]
        deadline = asyncio.get_running_loop().time() + _BUSY_PATIENCE
        while True:
            (changed,) = await operation(keys)
            if changed.status is not ChangeStatus.BUSY:
                return changed
            if asyncio.get_running_loop().time() >= deadline:
                return changed
            await asyncio.sleep(_BUSY_PAUSE)
