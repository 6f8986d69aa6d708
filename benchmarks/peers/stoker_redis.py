"""Stoker on Redis."""

from __future__ import annotations

import argparse

from benchmarks.peers.program import Counts, serve
from benchmarks.peers.stoker_peer import StokerPeer

from stoker import JobState
from stoker_redis import RedisDriver

_COUNTED = 1_000_000
_UNFINISHED = (JobState.SCHEDULED, JobState.READY, JobState.RUNNING)


class StokerRedis(StokerPeer):
    """Stoker with its Redis driver."""

    packages = ("stoker", "stoker-redis", "redis", "hiredis", "pydantic")

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__(arguments, RedisDriver(arguments.url))

    async def count(self) -> Counts:
        """Count the jobs in the store; the sizes of its sets are exact."""
        counts = (await self._app.stats("default", cap=_COUNTED))["default"].counts
        unfinished = sum(counts[state] for state in _UNFINISHED)
        return Counts(unfinished, None if self._removes else counts[JobState.COMPLETED])


def main() -> None:
    """Run it."""
    serve(StokerRedis, "remove", "full")
