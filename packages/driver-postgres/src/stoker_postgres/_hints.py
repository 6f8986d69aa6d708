"""Giving hints sparingly: a commit that notifies holds a lock of the whole database.

The first enqueue into a queue tells the waiting workers in its own transaction. Those that follow
within a moment do not; when they are done, one statement tells for all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

from stoker.errors import DriverError

__all__ = ["Hints"]

_log: Final = logging.getLogger(__name__)

_MOMENT: Final = 0.002
"""Seconds between two hints of one client for one queue: a worker that is idle starts a job at most
this much later, and a burst costs no more than 500 notifications a second."""

_MOST_QUEUES: Final = 1_000
"""How many queues are remembered; that is for memory only."""


class Hints:
    """The hints that one client gives for what it enqueues."""

    def __init__(self, send: Callable[[list[str]], Awaitable[object]]) -> None:
        self._send = send
        self._given: dict[str, float] = {}
        self._owed: set[str] = set()
        self._sending: asyncio.Task[None] | None = None

    def due(self, queues: Iterable[str]) -> list[str]:
        """Return the queues for which a hint is to be given at once."""
        now = asyncio.get_running_loop().time()
        if len(self._given) > _MOST_QUEUES:
            self._given.clear()
        due = [queue for queue in queues if now - self._given.get(queue, -1.0) >= _MOMENT]
        self._given.update(dict.fromkeys(due, now))
        return due

    def owe(self, queues: Collection[str]) -> None:
        """Give the hints for these queues a little later; their jobs are committed."""
        if not queues:
            return
        self._owed.update(queues)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._pay(), name="stoker-postgres hints")

    async def close(self) -> None:
        """Give what is owed, and end."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _pay(self) -> None:
        while self._owed:
            await asyncio.sleep(_MOMENT)
            queues, self._owed = sorted(self._owed), set()
            self._given.update(dict.fromkeys(queues, asyncio.get_running_loop().time()))
            try:
                await self._send(queues)
            except DriverError as error:
                # Lost hints are legal: idle workers look by themselves after some seconds.
                _log.warning("a hint for waiting workers was lost: %s", error)
