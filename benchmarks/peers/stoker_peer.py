"""Stoker as a peer, whatever its driver, in the configurations that the reports compare.

As it comes: a worker keeps ended jobs (`DEFAULT_RETENTION`). With `--remove` a completed job is
removed at once; with `--full` each run has a context, a timeout and three hooks.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from benchmarks.peers.program import TEXT
from pydantic import BaseModel

from stoker import Job, JobOptions, JobRun, Router, Stoker, WorkerOptions
from stoker.driver import Driver

__all__ = ["StokerPeer"]


class Nothing(BaseModel):
    """A small payload."""

    number: int
    text: str


class StokerPeer:
    """An application with one job that does nothing, and its worker; who derives from it counts."""

    packages: ClassVar[tuple[str, ...]]

    def __init__(self, arguments: argparse.Namespace, driver: Driver) -> None:
        self._concurrency = arguments.concurrency
        self._removes = arguments.remove
        self._ran: Callable[[int], None] = lambda _: None
        self._stopping = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        router: Router[object] = Router("bench")
        self._job = self._full(router) if arguments.full else self._plain(router)
        options = JobOptions(
            keep_completed=not arguments.remove, timeout=60 if arguments.full else None
        )
        self._app = Stoker(driver, jobs=[router], context=object(), defaults=options)
        kept = "completed jobs are removed at once" if arguments.remove else "the default retention"
        extras = ", with a context, a timeout and three hooks a job" if arguments.full else ""
        self.configuration = f"concurrency={self._concurrency}, {kept}{extras}"

    def _plain(self, router: Router[object]) -> Job[Nothing, None, ..., Any]:
        @router.job
        async def noop(nothing: Nothing) -> None:
            self._ran(nothing.number)

        return noop

    def _full(self, router: Router[object]) -> Job[Nothing, None, ..., Any]:
        @router.job
        async def noop(nothing: Nothing, context: object, job: JobRun) -> None:
            self._ran(nothing.number)

        @router.on_start
        async def started(job: JobRun) -> None: ...

        @router.on_success
        async def succeeded(job: JobRun, result: object) -> None: ...

        @router.on_complete
        async def completed(job: JobRun) -> None: ...

        return noop

    async def create(self) -> None:
        """Opening has brought what the store needs."""

    async def open(self) -> None:
        """Connect."""
        await self._app.open()

    async def enqueue(self, number: int, delay: float) -> None:
        """Store one job."""
        nothing = Nothing(number=number, text=TEXT)
        if delay:
            await self._app.schedule(self._job, nothing, delay=delay)
        else:
            await self._app.schedule(self._job, nothing)

    async def enqueue_many(self, numbers: range) -> None:
        """Store many jobs; the core cuts them into batches."""
        await self._app.schedule_many(
            self._job.call(Nothing(number=number, text=TEXT)) for number in numbers
        )

    async def work(self, ran: Callable[[int], None]) -> None:
        """Start a worker."""
        self._ran = ran
        options = WorkerOptions(concurrency=self._concurrency)
        self._worker = asyncio.create_task(self._app.run_worker(options, stop=self._stopping))

    async def stop(self) -> None:
        """Stop the worker."""
        if self._worker is not None:
            self._stopping.set()
            await self._worker

    async def close(self) -> None:
        """Disconnect."""
        await self._app.close()
