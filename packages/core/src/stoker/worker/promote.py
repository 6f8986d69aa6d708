"""Makes delayed jobs ready when they are due, not at a tick of a poll."""

from __future__ import annotations

import asyncio
import time
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
"""Before a third promote, when two moved nothing although something was due: someone else is at it.
One alone may have come a moment before the job was due."""


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
        due = time.monotonic() + due_in.total_seconds()
        if self._due is None or due < self._due:
            self._due = due
            self._moved_earlier.set()

    async def run(self) -> None:
        """Promote at every due time."""
        left_before = False
        while True:
            self._moved_earlier.clear()
            # Not by the loop's clock: that of uvloop stands still for a millisecond.
            wait = None if self._due is None else self._due - time.monotonic()
            if wait is None or wait > 0:
                await set_within(self._moved_earlier, wait)
                continue
            self._due = None
            promoted = await self._link.call("promote", self._promote)
            if promoted.count:
                self._promoted()
            left_due = not promoted.count and promoted.next_due_in == timedelta(0)
            if left_due and left_before:
                await asyncio.sleep(_SHORTEST_PAUSE)
            left_before = left_due
            self.learn(promoted.next_due_in)

    async def _promote(self) -> Promoted:
        return await self._link.driver.promote(
            self._queues, limit=_LIMIT, now=self._site.clock.given()
        )
