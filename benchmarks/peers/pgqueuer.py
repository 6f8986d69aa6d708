"""PgQueuer, set up as its guide to performance tuning says.

- the autovacuum settings of `pgq autovac`;
- a connection, not a pool, for the worker;
- asyncpg, the faster one of its drivers;
- `max_concurrent_tasks` is the concurrency, and `batch_size` the most that this allows: half. With
  `--unlimited` nothing limits the concurrency, and `batch_size` is the fastest of the sizes that
  were tried for no-op jobs (50, 100, 500 and 1,000).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from datetime import timedelta

import asyncpg
from benchmarks.peers.program import Counts, payload, serve
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

_ENTRYPOINT = "noop"
_BULK = 1_000
_COUNT = """
select
    (select count(*) from pgqueuer),
    (select count(*) from pgqueuer_log where status = 'successful')
"""


class Pgqueuer:
    """PgQueuer on asyncpg."""

    packages = ("pgqueuer", "asyncpg", "pydantic")

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._url = arguments.url
        self._worker: asyncio.Task[None] | None = None
        if arguments.unlimited:
            self._limits = {"batch_size": 500}
        else:
            most = arguments.concurrency
            self._limits = {"max_concurrent_tasks": most, "batch_size": most // 2}
        limits = ", ".join(f"{name}={value}" for name, value in self._limits.items())
        self.configuration = (
            f"AsyncpgDriver on one connection, {limits}, `pgq autovac`, "
            f"{_BULK:,} jobs in a call of enqueue"
        )

    async def create(self) -> None:
        """Create the schema, and let autovacuum look after it."""
        await self._queries.install()
        await self._queries.optimize_autovacuum()

    async def open(self) -> None:
        """Connect."""
        self._connection = await asyncpg.connect(self._url)
        self._queries = Queries(AsyncpgDriver(self._connection))

    async def enqueue(self, number: int, delay: float) -> None:
        """Store one job."""
        after = timedelta(seconds=delay) if delay else None
        body = json.dumps(payload(number)).encode()
        await self._queries.enqueue(_ENTRYPOINT, body, execute_after=after)

    async def enqueue_many(self, numbers: range) -> None:
        """Store many jobs."""
        for first in range(0, len(numbers), _BULK):
            bodies = [json.dumps(payload(n)).encode() for n in numbers[first : first + _BULK]]
            await self._queries.enqueue(
                [_ENTRYPOINT] * len(bodies), list(bodies), [0] * len(bodies)
            )

    async def count(self) -> Counts:
        """Count the jobs in the store; those that ended are in the log."""
        return Counts(*await self._connection.fetchrow(_COUNT))

    async def work(self, ran: Callable[[int], None]) -> None:
        """Start a worker."""
        self._queuer = PgQueuer(AsyncpgDriver(self._connection))

        async def noop(job: Job) -> None:
            ran(json.loads(job.payload or b"")["number"])

        self._queuer.entrypoint(_ENTRYPOINT)(noop)
        self._worker = asyncio.create_task(self._queuer.run(**self._limits))

    async def stop(self) -> None:
        """Stop the worker."""
        if self._worker is not None:
            self._queuer.shutdown.set()
            await self._worker

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()


def main() -> None:
    """Run it."""
    serve(Pgqueuer, "unlimited")
