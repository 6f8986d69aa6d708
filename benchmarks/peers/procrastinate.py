"""procrastinate, on the connector that its documentation recommends.

- `PsycopgConnector` on psycopg's compiled implementation, with a pool of its default size;
- `delete_jobs="always"`, so that the table of jobs stays small;
- a poll every 0.1 seconds: nothing else wakes a worker for a job whose delay has passed, and with
  the default of 5 seconds such jobs are late by as much.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable

import psycopg
from benchmarks.peers.program import Counts, payload, serve
from procrastinate import App, PsycopgConnector

_BULK = 1_000
_POLL = 0.1
_COUNT = "select count(*) from procrastinate_jobs where status in ('todo', 'doing')"


class Procrastinate:
    """procrastinate on psycopg."""

    packages = ("procrastinate", "psycopg", "psycopg-binary", "psycopg-pool")

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._url = arguments.url
        self._concurrency = arguments.concurrency
        self._worker: asyncio.Task[None] | None = None
        self._app = App(connector=PsycopgConnector(conninfo=self._url))
        self._ran: Callable[[int], None] = lambda _: None

        async def noop(number: int, text: str) -> None:
            self._ran(number)

        self._task = self._app.task(noop, name="noop")
        self.configuration = (
            f"PsycopgConnector, concurrency={self._concurrency}, delete_jobs='always', "
            f"fetch_job_polling_interval={_POLL}, {_BULK:,} jobs in a call of batch_defer_async"
        )

    async def create(self) -> None:
        """Create the schema."""
        await self._app.schema_manager.apply_schema_async()

    async def open(self) -> None:
        """Connect."""
        await self._app.open_async()
        self._asking = await psycopg.AsyncConnection.connect(self._url, autocommit=True)

    async def enqueue(self, number: int, delay: float) -> None:
        """Store one job."""
        if delay:
            later = self._task.configure(schedule_in={"seconds": delay})
            await later.defer_async(**payload(number))
        else:
            await self._task.defer_async(**payload(number))

    async def enqueue_many(self, numbers: range) -> None:
        """Store many jobs."""
        for first in range(0, len(numbers), _BULK):
            batch = numbers[first : first + _BULK]
            await self._task.batch_defer_async(*(payload(number) for number in batch))

    async def count(self) -> Counts:
        """Count the jobs in the store."""
        rows = await (await self._asking.execute(_COUNT)).fetchall()
        return Counts(rows[0][0], None)

    async def work(self, ran: Callable[[int], None]) -> None:
        """Start a worker."""
        self._ran = ran
        self._worker = asyncio.create_task(
            self._app.run_worker_async(
                concurrency=self._concurrency,
                delete_jobs="always",
                fetch_job_polling_interval=_POLL,
                install_signal_handlers=False,
            )
        )

    async def stop(self) -> None:
        """Stop the worker: it takes a cancel for the wish to end when its jobs have ended."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])

    async def close(self) -> None:
        """Disconnect."""
        await self._app.close_async()
        await self._asking.close()


def main() -> None:
    """Run it."""
    serve(Procrastinate)
