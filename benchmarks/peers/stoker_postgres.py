"""Stoker on PostgreSQL, in the configurations that the report compares.

As it comes: a worker keeps ended jobs (`DEFAULT_RETENTION`). With `--remove` a completed job is
removed at once; with `--full` each run has a context, a timeout and three hooks.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
from benchmarks.peers.program import FILLED, TEXT, Counts, serve
from pydantic import BaseModel

from stoker import Job, JobOptions, JobRun, Router, Stoker, WorkerOptions
from stoker_postgres import PostgresDriver

_COUNT = """
select
    (select count(*) from stoker.jobs where finished_at is null),
    (select count(*) from stoker.jobs where state = 'completed')
"""
# Jobs of one state. Ids rise as those of the core do, and come before all of them.
_FILL = """
insert into stoker.jobs (
    queue, id, name, payload, payload_version, priority, place, max_attempts, max_crashes,
    enqueued_at, run_at, state, ready_at, finished_at, attempt
)
select
    'default', lpad(to_hex(n), 32, '0'), 'bench.noop',
    convert_to(format('{"number":%s,"text":"%s"}', n, $4::text), 'UTF8'), 1, 4,
    nextval('stoker.places'), 1, 5, now(),
    case when $3 = 'scheduled' then now() + interval '1 day' else now() end,
    $3, case when $3 <> 'scheduled' then now() end, case when $3 = 'failed' then now() end,
    case when $3 = 'failed' then 1 else 0 end
from generate_series($1::bigint, $2::bigint) as n
"""


class Nothing(BaseModel):
    """A small payload."""

    number: int
    text: str


class StokerPostgres:
    """Stoker with its PostgreSQL driver."""

    packages = ("stoker", "stoker-postgres", "asyncpg", "pydantic")

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._url = arguments.url
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
        self._app = Stoker(
            PostgresDriver(self._url), jobs=[router], context=object(), defaults=options
        )
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
        """Opening has brought the schema."""

    async def open(self) -> None:
        """Connect."""
        await self._app.open()
        self._asking = await asyncpg.connect(self._url)

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

    async def fill(self, ready: int, scheduled: int, finished: int) -> None:
        """Store jobs of all ages; the finished ones have failed, so that no retention ends them."""
        first = FILLED
        for state, jobs in (("ready", ready), ("scheduled", scheduled), ("failed", finished)):
            await self._asking.execute(_FILL, first, first + jobs - 1, state, TEXT)
            first += jobs
        await self._asking.execute("vacuum (analyze) stoker.jobs")

    async def count(self) -> Counts:
        """Count the jobs in the store."""
        unfinished, finished = await self._asking.fetchrow(_COUNT)
        return Counts(unfinished, None if self._removes else finished)

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
        await self._asking.close()


def main() -> None:
    """Run it."""
    serve(StokerPostgres, "remove", "full")
