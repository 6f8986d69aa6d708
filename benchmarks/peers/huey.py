"""huey on its Redis storage, as its documentation sets it up.

- `RedisHuey` waits for jobs at the server (`blocking`), and keeps no results (`results=False`);
- the consumer has eight threads, the worker type that it advises where handlers are not greenlets:
  they share an interpreter, so with the concurrency of the others (a hundred) it is slower;
- delayed jobs are looked for every second, the shortest interval of its scheduler;
- it has no bulk call: many jobs are many calls.

A job leaves the store when it is taken, so the store knows only of those that wait.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from threading import Lock

from benchmarks.peers.program import Counts, payload, serve
from huey import RedisHuey
from huey.consumer import Consumer

_THREADS = 8


class Huey:
    """huey on redis-py."""

    packages = ("huey", "redis", "hiredis")

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._ran: Callable[[int], None] = lambda _: None
        self._huey = RedisHuey("bench", url=arguments.url, results=False)
        self._consumer: Consumer | None = None
        noting = Lock()

        def noop(number: int, text: str) -> None:
            with noting:
                self._ran(number)

        self._task = self._huey.task(name="noop")(noop)
        self.configuration = f"RedisHuey, {_THREADS} threads, results=False"

    async def create(self) -> None:
        """There is no schema."""

    async def open(self) -> None:
        """It connects by itself."""

    async def enqueue(self, number: int, delay: float) -> None:
        """Store one job."""
        if delay:
            self._task.schedule(kwargs=payload(number), delay=delay)
        else:
            self._task(**payload(number))

    async def enqueue_many(self, numbers: range) -> None:
        """Store many jobs, each in a call of its own."""
        for number in numbers:
            self._task(**payload(number))

    async def count(self) -> Counts:
        """Count the jobs in the store."""
        return Counts(self._huey.pending_count() + self._huey.scheduled_count(), None)

    async def work(self, ran: Callable[[int], None]) -> None:
        """Start a worker."""
        self._ran = ran
        self._consumer = Consumer(self._huey, workers=_THREADS, periodic=False)
        self._consumer.start()

    async def stop(self) -> None:
        """Stop the worker."""
        if self._consumer is not None:
            await asyncio.to_thread(self._consumer.stop, graceful=True)

    async def close(self) -> None:
        """Disconnect."""
        self._huey.storage.close()


def main() -> None:
    """Run it."""
    serve(Huey)
