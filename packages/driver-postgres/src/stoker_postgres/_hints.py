"""Giving hints sparingly: a commit that notifies holds a lock of the whole database.

The first enqueue into a queue tells the waiting workers in its own transaction. Those that follow
within a moment do not: the next one after that moment tells for them too, or else, when they are
done, a statement of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from stoker.errors import DriverError

__all__ = ["Hints"]

_log: Final = logging.getLogger(__name__)

_MOMENT: Final = 0.002
"""Seconds between two hints of one client for one queue: a burst costs no more than 500
notifications a second."""

_LATEST: Final = 0.003
"""Seconds until a hint that is owed is given by a statement of its own: a worker that is idle
starts a job at most this much later, unless the block that is to tell waits for a lock. It is
longer than the moment: in a burst the next block that tells has begun by then, and spares it."""

_MOST_QUEUES: Final = 1_000
"""How many queues are remembered; that is for memory only."""


class Hints:
    """The hints that one client gives for what it enqueues."""

    def __init__(self, send: Callable[[list[str]], Awaitable[object]]) -> None:
        self._send = send
        self._given: dict[str, float] = {}
        self._owed: set[str] = set()
        """The queues that are owed a hint, and that no block is about to give one."""
        self._timer: asyncio.TimerHandle | None = None
        """Runs while a queue is owed a hint, and none is being sent."""
        self._sending: asyncio.Task[None] | None = None

    @contextmanager
    def with_commit_of(self, queues: Collection[str]) -> Iterator[list[str]]:
        """Give hints for the jobs that the block stores in these queues, now or a little later.

        It is entered with the queues whose hint the block's own transaction is to give.
        """
        due = self._due(queues)
        # That hint comes after the commits that are owed one by now, and not necessarily after
        # those that will be owed one when the block ends.
        taken = self._owed.intersection(due)
        self._owed -= taken
        if taken and not self._owed:
            self._stop()
        try:
            yield due
        except BaseException:
            self._owed |= taken
            raise
        finally:
            # Also after a failure: the jobs may have been stored all the same.
            self._owed.update(queue for queue in queues if queue not in due)
            self._start()

    def _due(self, queues: Iterable[str]) -> list[str]:
        now = time.monotonic()
        if len(self._given) > _MOST_QUEUES:
            self._given.clear()
        due = [queue for queue in queues if now - self._given.get(queue, -1.0) >= _MOMENT]
        self._given.update(dict.fromkeys(due, now))
        return due

    def _start(self) -> None:
        if self._owed and self._timer is None and self._sending is None:
            self._timer = asyncio.get_running_loop().call_later(_LATEST, self._pay)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pay(self) -> None:
        self._stop()
        self._sending = asyncio.create_task(self._tell(), name="stoker-postgres hints")

    async def close(self) -> None:
        """Give what is owed, and end."""
        while self._timer is not None or self._sending is not None:
            if self._sending is None:
                self._pay()
            else:
                await asyncio.wait([self._sending])

    async def _tell(self) -> None:
        queues, self._owed = sorted(self._owed), set()
        self._given.update(dict.fromkeys(queues, time.monotonic()))
        try:
            await self._send(queues)
        except DriverError as error:
            # Lost hints are legal: idle workers look by themselves after some seconds.
            _log.warning("a hint for waiting workers was lost: %s", error)
        finally:
            self._sending = None
            self._start()
