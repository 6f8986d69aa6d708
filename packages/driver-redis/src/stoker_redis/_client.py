"""What an open driver holds: connections, and a listener."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Self

from stoker.driver import Wake
from stoker.driver.latch import Latch
from stoker.errors import InvalidInput
from stoker_redis import _server
from stoker_redis._connection import end
from stoker_redis._errors import FAILURES, unreachable
from stoker_redis._listener import Listener
from stoker_redis._nodes import Call, Nodes, raise_first
from stoker_redis._scripts import Script
from stoker_redis._source import Source

__all__ = ["Call", "Client"]

_GRACE_SECONDS: Final = 5.0
"""How long a close lets operations in flight go on."""


class Client:
    """Runs scripts, each by its name in one round trip."""

    def __init__(self, nodes: Nodes, prefix: str, replicas: int = 0) -> None:
        self.prefix = prefix
        self._nodes = nodes
        self._replicas = replicas
        self._latch = Latch()
        self._listener = Listener(prefix, self._latch, nodes.connect, nodes.slot)
        self._process = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def open(
        cls,
        source: Source,
        prefix: str,
        *,
        pool_size: int = 10,
        persistence: str = "none",
        replicas: int = 0,
    ) -> Self:
        """Connect, and look at the server.

        Raises:
            DriverUnavailable: nobody answers, or only a replica does.
            IncompatibleStore: the server does not let the user in, or cannot be used.
        """
        nodes = source.nodes(pool_size)
        try:
            link = await nodes.greet()
            try:
                await _server.check(
                    link, cluster=nodes.is_cluster, persistence=persistence, where=source.where
                )
            finally:
                await end(link)
        except FAILURES as error:
            raise unreachable(error, source.where) from error
        return cls(nodes, prefix, replicas)

    @property
    def is_inherited(self) -> bool:
        """Whether this process is a fork of the one that opened the client."""
        return self._process != os.getpid()

    @property
    def is_cluster(self) -> bool:
        """Whether keys are on several nodes, of which one may be away."""
        return self._nodes.is_cluster

    @property
    def opened(self) -> int:
        """How many connections were opened so far: a new one may lead to a server that has lost
        what was the last to be written."""
        return self._nodes.opened

    async def call(
        self,
        script: Script,
        keys: Sequence[bytes],
        args: Sequence[str | bytes | int],
        *,
        confirmed: bool = False,
    ) -> Any:
        """Run a script and return its answer.

        With `confirmed`, replicas have to have what it wrote, if the driver was told so.
        """
        [answer] = await self.pipeline([Call(script, keys, args)], confirmed=confirmed)
        return answer

    async def pipeline(self, calls: Sequence[Call], *, confirmed: bool = False) -> list[Any]:
        """Run scripts, in one round trip a node or slot, and return their answers.

        When one fails, others may have been applied.
        """
        answers = await self.attempt(calls, confirmed=confirmed)
        raise_first(answers)
        return answers

    async def attempt(self, calls: Sequence[Call], *, confirmed: bool = False) -> list[Any]:
        """Do the same; where some fail, errors stand in the places of their answers.

        Raises:
            DriverError: all of them have failed in one way.
        """
        if not calls:
            return []
        self._check_loop()
        self._in_flight += 1
        self._idle.clear()
        try:
            return await self._nodes.run(calls, self._replicas if confirmed else 0)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        """Wait for a hint; the first wait for a queue only begins to keep them."""
        self._check_loop()
        self._listener.check()
        if self._latch.begin(queues):
            self._listener.add(queues)
            return Wake.WORK
        return await self._latch.wait(queues, timeout.total_seconds())

    async def close(self) -> None:
        """Let operations in flight end, then fail them, and free everything."""
        self._latch.close()
        await self._listener.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await self._idle.wait()
        await self._nodes.close()

    def _check_loop(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise InvalidInput(
                "this driver was opened on another event loop: give each loop a clone() of it"
            )
