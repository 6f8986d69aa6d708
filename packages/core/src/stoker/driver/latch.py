"""What one client has heard, and its wait: for drivers whose hints come over a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stoker.driver.capabilities import Wake
from stoker.errors import InvalidInput

__all__ = ["Latch"]


class Latch:
    """Keeps hints from the first wait for a queue on, until a wait takes them.

    It does the half of `Wakeup.wait` in which no store has a part; who listens to the store calls
    `hear`. All of it belongs to one event loop.
    """

    def __init__(self) -> None:
        self._heard: dict[str, Wake] = {}
        """The hints that nobody has taken yet, for every queue that was ever waited for."""
        self._waiter: asyncio.Future[None] | None = None
        self._queues: frozenset[str] = frozenset()
        self._closed = False

    def begin(self, queues: Sequence[str]) -> bool:
        """Keep hints for these queues from now on; return whether any of them is new."""
        fresh = [queue for queue in queues if queue not in self._heard]
        self._heard.update(dict.fromkeys(fresh, Wake.NOTHING))
        return bool(fresh)

    def hear(self, queue: str, wake: Wake) -> None:
        """Take note of a hint."""
        if queue in self._heard:
            self._heard[queue] |= wake
            if queue in self._queues:
                self._ring()

    def hear_all(self) -> None:
        """Hint at everything: after a gap there is no telling what was missed."""
        for queue in self._heard:
            self.hear(queue, Wake.WORK | Wake.CANCEL)

    async def wait(self, queues: Sequence[str], seconds: float) -> Wake:
        """Wait up to so many seconds for a hint that was not taken yet.

        Every one of `queues` was given to `begin` before.

        Raises:
            InvalidInput: a wait of this client is under way.
        """
        if self._waiter is not None:
            raise InvalidInput("this client is waiting already: a client has one waiter at a time")
        if wake := self._take(queues):
            return wake
        if self._closed or seconds <= 0:
            return Wake.NOTHING
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        self._queues = frozenset(queues)
        timer = loop.call_later(seconds, self._ring)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
            self._queues = frozenset()
        return self._take(queues)

    def close(self) -> None:
        """End the present wait, and every later one at once."""
        self._closed = True
        self._ring()

    def _ring(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self, queues: Sequence[str]) -> Wake:
        wake = Wake.NOTHING
        for queue in queues:
            wake |= self._heard[queue]
            self._heard[queue] = Wake.NOTHING
        return wake
