"""dramatiq on its Redis broker, as its documentation sets it up.

- the middleware that it comes with;
- a worker process has 32 threads: with its default of eight they wait for the next batch, with the
  concurrency of the others (a hundred) they wait for each other;
- it has no bulk call: many jobs are many calls.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from threading import Lock

from benchmarks.peers.program import Counts, payload, serve
from dramatiq import Worker, actor
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

_THREADS = 32
_MESSAGES = ("dramatiq:default.msgs", "dramatiq:default.DQ.msgs")
"""What is ready or runs, and what is delayed: removed when it is acknowledged."""


class Dramatiq:
    """dramatiq on redis-py."""

    packages = ("dramatiq", "redis", "hiredis")

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._ran: Callable[[int], None] = lambda _: None
        self._broker = RedisBroker(url=arguments.url)
        self._asking = Redis.from_url(arguments.url)
        self._worker: Worker | None = None
        noting = Lock()

        def noop(number: int, text: str) -> None:
            with noting:
                self._ran(number)

        self._actor = actor(noop, broker=self._broker)
        self.configuration = f"RedisBroker, {_THREADS} threads, the default middleware"

    async def create(self) -> None:
        """There is no schema."""

    async def open(self) -> None:
        """It connects by itself."""

    async def enqueue(self, number: int, delay: float) -> None:
        """Store one job."""
        if delay:
            self._actor.send_with_options(kwargs=payload(number), delay=round(delay * 1_000))
        else:
            self._actor.send(**payload(number))

    async def enqueue_many(self, numbers: range) -> None:
        """Store many jobs, each in a call of its own."""
        for number in numbers:
            self._actor.send(**payload(number))

    async def count(self) -> Counts:
        """Count the jobs in the store."""
        return Counts(sum(int(self._asking.hlen(key)) for key in _MESSAGES), None)

    async def work(self, ran: Callable[[int], None]) -> None:
        """Start a worker."""
        self._ran = ran
        self._worker = Worker(self._broker, worker_threads=_THREADS)
        self._worker.start()

    async def stop(self) -> None:
        """Stop the worker."""
        if self._worker is not None:
            await asyncio.to_thread(self._worker.stop)

    async def close(self) -> None:
        """Disconnect."""
        self._broker.close()
        self._asking.close()


def main() -> None:
    """Run it."""
    serve(Dramatiq)
