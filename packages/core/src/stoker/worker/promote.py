"""Makes delayed jobs ready when they are due, not at a tick of a poll."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar, Final

from stoker.driver import Promoted
from stoker.worker.link import Link
from stoker.worker.service import Service, set_within
from stoker.worker.site import Site

__all__ = ["Promoter"]

_LIMIT: Final = 1_000
_SHORTEST_PAUSE: Final = 0.02
"""Between promotes that moved nothing although something was due: someone else is at it."""


class Promoter(Service):
    """Sleeps until the earliest due time that it has learned of, then promotes.

    Args:
        promoted: told when jobs have become ready.
    """

    name: ClassVar[str] = "promoter"

    def __init__(self, site: Site, link: Link, promoted: Callable[[], None]) -> None:
        super().__init__()
        self._site = site
        self._link = link
        self._queues = list(site.queues)
        self._due: float | None = None
        self._moved_earlier = asyncio.Event()
        self._promoted = promoted

    def learn(self, due_in: timedelta | None) -> None:
        """Take note of when the earliest delayed job is due."""
        if due_in is None:
            return
        due = asyncio.get_running_loop().time() + due_in.total_seconds()
        if self._due is None or due < self._due:
            self._due = due
            self._moved_earlier.set()

    async def run(self) -> None:
        """Promote at every due time."""
        loop = asyncio.get_running_loop()
        while True:
            self._moved_earlier.clear()
            left = None if self._due is None else self._due - loop.time()
            if left is None or left > 0:
                await set_within(self._moved_earlier, left)
                continue
            self._due = None
            promoted = await self._link.call("promote", self._promote)
            if promoted.count:
                self._promoted()
            elif promoted.next_due_in == timedelta(0):
                await asyncio.sleep(_SHORTEST_PAUSE)
            self.learn(promoted.next_due_in)

    async def _promote(self) -> Promoted:
        return await self._link.driver.promote(
            self._queues, limit=_LIMIT, now=self._site.clock.given()
        )
