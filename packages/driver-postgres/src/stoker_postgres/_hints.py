"""Giving hints sparingly: a commit that notifies holds a lock of the whole database.

The first enqueue into a queue tells the waiting workers in its own transaction. Those that follow
within a moment do not: the next one after that moment tells for them too, or else, when they are
done, a statement of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
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
        self._owed: dict[str, int] = {}
        """The queues that are owed a hint, each with the number of the call that last owed it."""
        self._calls = count()
        self._sending: asyncio.Task[None] | None = None

    @contextmanager
    def with_commit_of(self, queues: Collection[str]) -> Iterator[list[str]]:
        """Give hints for the jobs that the block stores in these queues, now or a little later.

        It is entered with the queues whose hint the block's own transaction is to give.
        """
        due = self._due(queues)
        owed = {queue: self._owed[queue] for queue in due if queue in self._owed}
        try:
            yield due
        finally:
            # Also after a failure: the jobs may have been stored all the same.
            self._owe([queue for queue in queues if queue not in due])
        # That hint came after the commits that were owed one when the block began, and not
        # necessarily after those that were owed one since.
        for queue, call in owed.items():
            if self._owed.get(queue) == call:
                del self._owed[queue]

    def _due(self, queues: Iterable[str]) -> list[str]:
        now = asyncio.get_running_loop().time()
        if len(self._given) > _MOST_QUEUES:
            self._given.clear()
        due = [queue for queue in queues if now - self._given.get(queue, -1.0) >= _MOMENT]
        self._given.update(dict.fromkeys(due, now))
        return due

    def _owe(self, queues: Collection[str]) -> None:
        if not queues:
            return
        self._owed.update(dict.fromkeys(queues, next(self._calls)))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._pay(), name="stoker-postgres hints")

    async def close(self) -> None:
        """Give what is owed, and end."""
        if self._sending is not None:
            await asyncio.wait([self._sending])

    async def _pay(self) -> None:
        while self._owed:
            await asyncio.sleep(_MOMENT)
            queues, self._owed = sorted(self._owed), {}
            if not queues:  # given meanwhile
                return
            self._given.update(dict.fromkeys(queues, asyncio.get_running_loop().time()))
            try:
                await self._send(queues)
            except DriverError as error:
                # Lost hints are legal: idle workers look by themselves after some seconds.
                _log.warning("a hint for waiting workers was lost: %s", error)
