"""SAQ on its Redis queue, as its documentation sets it up.

- one worker with a concurrency: it has a connection for each slot, so the client may open as many;
- jobs are kept for ten minutes after their end, as they come;
- delayed jobs are looked for once a second, the least that its timer and lock of whole seconds
  allow;
- a worker begins with a sweep, which takes a job that was just fetched for one that is stuck, and
  lets it run twice. Here the sweep of that minute has been done before the worker starts;
- it has no bulk call: many jobs are many calls.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from time import time
from typing import Any

from benchmarks.peers.program import Counts, payload, serve
from redis.asyncio import Redis
from saq import Queue, Worker
from saq.queue.redis import RedisQueue

_SPARE = 50
"""Connections besides those that wait for jobs."""

_SWEEP_SECONDS = 60
"""How long nobody sweeps again: the default of its timer."""


class Saq:
    """SAQ on redis-py."""

    packages = ("saq", "redis", "hiredis")

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._concurrency = arguments.concurrency
        client: Any = Redis.from_url(arguments.url, max_connections=arguments.concurrency + _SPARE)
        self._queue: Queue = RedisQueue(client)
        self._worker: Worker[Any] | None = None
        self._running: asyncio.Task[None] | None = None
        self.configuration = f"RedisQueue, concurrency={self._concurrency}, the default timers"

    async def create(self) -> None:
        """There is no schema."""

    async def open(self) -> None:
        """Connect."""
        await self._queue.connect()

    async def enqueue(self, number: int, delay: float) -> None:
        """Store one job."""
        if delay:
            # It compares whole seconds: the next whole one is the first that is not too early.
            await self._queue.enqueue("noop", scheduled=int(time() + delay) + 1, **payload(number))
        else:
            await self._queue.enqueue("noop", **payload(number))

    async def enqueue_many(self, numbers: range) -> None:
        """Store many jobs, each in a call of its own."""
        for number in numbers:
            await self._queue.enqueue("noop", **payload(number))

    async def count(self) -> Counts:
        """Count the jobs in the store."""
        return Counts(await self._queue.count("incomplete"), None)

    async def work(self, ran: Callable[[int], None]) -> None:
        """Start a worker."""
        await self._queue.sweep(_SWEEP_SECONDS)

        async def noop(context: object, *, number: int, text: str) -> None:
            ran(number)

        self._worker = Worker(
            self._queue, functions=[("noop", noop)], concurrency=self._concurrency
        )
        self._worker.SIGNALS.clear()
        self._running = asyncio.create_task(self._worker.start())

    async def stop(self) -> None:
        """Stop the worker."""
        if self._worker is not None and self._running is not None:
            await self._worker.stop()
            await self._running

    async def close(self) -> None:
        """Disconnect."""
        await self._queue.disconnect()


def main() -> None:
    """Run it."""
    serve(Saq)
