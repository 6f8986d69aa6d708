"""An app's life: opened, running jobs or not, closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from random import Random
from types import TracebackType
from typing import Any, Final, Self, cast

from stoker.app.checks import check_real_time, check_wiring
from stoker.app.context import Context
from stoker.app.inspection import Inspection
from stoker.app.waiting import Waiting
from stoker.clock import Clock
from stoker.driver import Driver, Keep, Retention
from stoker.errors import ConfigurationError, Unsupported
from stoker.router import Catalogue, Scheduling
from stoker.worker import Site, Worker, WorkerOptions, run_until_idle, store_definitions

__all__ = ["DEFAULT_RETENTION", "Lifecycle"]

DEFAULT_RETENTION: Final = Retention(
    completed=Keep(timedelta(hours=1), newest=10_000),
    failed=Keep(timedelta(days=30)),
    cancelled=Keep(timedelta(days=1), newest=10_000),
)
"""What is kept of ended jobs unless the app or the job says otherwise: completed ones long enough
to read a result, failed ones long enough to be looked into."""


class Lifecycle(Inspection):
    """The part of an app that opens and closes it, and that runs its jobs."""

    def __init__(
        self,
        driver: Driver,
        catalogue: Catalogue,
        context: Context,
        *,
        autostart: bool | WorkerOptions,
        prefix: str,
        retention: Retention,
        clock: Clock,
        random: Random,
    ) -> None:
        if not isinstance(autostart, bool | WorkerOptions):
            raise ConfigurationError(
                f"autostart_worker={autostart!r}: give True or WorkerOptions(...)"
            )
        check_wiring(
            driver,
            catalogue,
            prefix=prefix,
            has_context=context.is_given,
            autostart=bool(autostart),
            clock=clock,
        )
        super().__init__(driver, clock, prefix)
        self._catalogue = catalogue
        self._context = context
        self._autostart = WorkerOptions() if autostart is True else autostart or None
        self._retention = retention
        self._random = random
        self._has_worker = False
        self._changing = asyncio.Lock()
        """Held while the app is being opened or closed: who comes second waits."""
        self._autostarted: tuple[asyncio.Task[None], asyncio.Event] | None = None

    def __repr__(self) -> str:
        info = self.driver.info
        return f"<Stoker on {info.name}: {', '.join(self._catalogue.namespaces) or 'no routers'}>"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self, *, autostart: bool = True) -> None:
        """Connect to the store, and start the worker if the app has `autostart_worker`.

        Args:
            autostart: `False` leaves that worker out, as the command `stoker worker` does.

        Raises:
            DriverError: if the store cannot be reached, or not be used by this version.
        """
        async with self._changing:
            if self._is_open:
                return
            self._is_open = True
            try:
                await self.driver.open()
                self._waiting = Waiting(self.driver)
                if autostart and self._autostart is not None:
                    await self._start_own_worker(self._autostart)
            except BaseException:
                await self._close()
                raise

    async def close(self) -> None:
        """Stop the worker, leave the lifespan, disconnect.

        Raises:
            WorkerCrashed: if the autostarted worker had died.
        """
        async with self._changing:
            if self._is_open:
                await self._close()
        # The app may be opened again on another event loop.
        self._changing = asyncio.Lock()

    async def _close(self) -> None:
        try:
            if self._autostarted is not None:
                (task, stop), self._autostarted = self._autostarted, None
                stop.set()
                await task
        finally:
            self._is_open = False
            await self._waiting.close()
            try:
                await self._context.leave()
            finally:
                await self.driver.close()

    async def run_worker(
        self, options: WorkerOptions | None = None, *, stop: asyncio.Event | None = None
    ) -> None:
        """Run jobs until `stop` is set, or until cancelled; then stop gracefully.

        Opens the app if it is not open, without its autostarted worker, and closes it again.

        Raises:
            WorkerCrashed: if one of the worker's services died.
            Unsupported: if a worker of this app object runs already, and its driver has no
                second client to give.
        """
        if not self._is_open:
            await self.open(autostart=False)
            try:
                await self.run_worker(options, stop=stop)
            finally:
                await self.close()
            return
        check_real_time(self.clock)
        options = options or self._autostart or WorkerOptions()
        await self._run_worker(options, lambda: None, stop or asyncio.Event())

    async def run_until_idle(self, *, concurrency: int = 10) -> int:
        """Run all that is due, here and now, until nothing is; returns the number of runs.

        For tests and scripts: no worker is needed, and time stands still where the clock does.
        """
        self._driver_open()
        # Calls may name queues that no job does; here nobody else would serve them.
        queues = {entry.settings.queue for entry in self._catalogue} | set(await self.queues())
        options = WorkerOptions(concurrency=concurrency, queues=sorted(queues | {"default"}))
        return await run_until_idle(await self._site(options, self.driver))

    async def store_definitions(self) -> None:
        """Tell the store what the app's jobs are, as every worker does when it starts.

        Those who schedule without this code, for example a trigger in the database, may then name
        a job and get its options. To be called where that must not wait for the first worker: in
        a deployment step, in tests.

        Raises:
            Unsupported: nobody can schedule in this driver's store without the code.
        """
        if not await store_definitions(self._driver_open(), self._catalogue, self.queue_prefix):
            raise Unsupported(
                f"{self.driver.info.name} has no place for definitions: jobs are scheduled there "
                "by this code only"
            )

    async def _start_own_worker(self, options: WorkerOptions) -> None:
        # In the task that will also leave the lifespan, as some context managers demand.
        await self._context.enter()
        started, stop = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(self._run_worker(options, started.set, stop))
        self._autostarted = task, stop
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            self._autostarted = None
            task.result()

    async def _site(self, options: WorkerOptions, driver: Driver) -> Site:
        return Site(
            driver=driver,
            catalogue=self._catalogue,
            app=cast("Scheduling", self),  # what is built is a Stoker, which schedules
            context=await self._context.enter(),
            clock=self.clock,
            random=self._random,
            options=options,
            prefix=self.queue_prefix,
            retention=self._retention,
            ended=self._waiting.ended,
        )

    async def _run_worker(
        self, options: WorkerOptions, started: Callable[[], object], stop: asyncio.Event
    ) -> None:
        """Run a worker on the app's own client of the store, or, if that has one, on another."""
        if self._has_worker:
            client = self.driver.clone()
            await client.open()
            try:
                await self._run_on(client, options, started, stop)
            finally:
                await client.close()
            return
        self._has_worker = True
        try:
            await self._run_on(self.driver, options, started, stop)
        finally:
            self._has_worker = False

    async def _run_on(
        self,
        driver: Driver,
        options: WorkerOptions,
        started: Callable[[], object],
        stop: asyncio.Event,
    ) -> None:
        worker = Worker(await self._site(options, driver))
        worker.start()
        stopped: asyncio.Task[Any] = asyncio.create_task(stop.wait())
        died: asyncio.Task[Any] = asyncio.create_task(worker.died())
        started()
        try:
            await asyncio.wait([stopped, died], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            died.cancel()
            await worker.stop()
