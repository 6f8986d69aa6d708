"""No queue at all: what redis-py needs to add the same payloads to a stream.

It is the limit that a queue on this client can come near to, so it has no worker.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from benchmarks.peers.program import Counts, payload, serve
from redis.asyncio import Redis

_BULK = 1_000
_STREAM = "jobs"


class RedisXadd:
    """A stream, and redis-py."""

    packages = ("redis", "hiredis")
    configuration = f"one connection, XADD; {_BULK:,} of them in a pipeline"

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._redis = Redis.from_url(arguments.url, single_connection_client=True)

    async def create(self) -> None:
        """A stream comes with its first entry."""

    async def open(self) -> None:
        """Connect."""
        self._redis = await self._redis.initialize()

    async def enqueue(self, number: int, delay: float) -> None:
        """Add one entry."""
        body = json.dumps(payload(number)).encode()
        await self._redis.xadd(_STREAM, {"id": str(uuid4()), "job": body})

    async def enqueue_many(self, numbers: range) -> None:
        """Add many entries."""
        for first in range(0, len(numbers), _BULK):
            pipeline: Any = self._redis.pipeline(transaction=False)
            for number in numbers[first : first + _BULK]:
                body = json.dumps(payload(number)).encode()
                pipeline.xadd(_STREAM, {"id": str(uuid4()), "job": body})
            await pipeline.execute()

    async def count(self) -> Counts:
        """Count the entries."""
        return Counts(await self._redis.xlen(_STREAM), None)

    async def work(self, ran: Callable[[int], None]) -> None:
        """There is nothing to work on."""
        raise NotImplementedError("a stream of entries has no worker")

    async def stop(self) -> None:
        """There is no worker."""

    async def close(self) -> None:
        """Disconnect."""
        await self._redis.aclose()


def main() -> None:
    """Run it."""
    serve(RedisXadd)
