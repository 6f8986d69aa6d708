"""Deletes the records of ended jobs that nothing keeps any more."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar, Final

from stoker.worker.link import Link
from stoker.worker.service import Service
from stoker.worker.site import Site

__all__ = ["Purger", "purge"]

_LIMIT: Final = 1_000
_BREATH: Final = 0.05
"""Between two bites of a large purge, so that claims and settlements come in between."""


async def purge(site: Site, queue: str) -> None:
    """Delete what nothing keeps, a bite at a time."""
    while True:
        deleted = await site.driver.purge(
            queue, site.retention, limit=_LIMIT, now=site.clock.given()
        )
        if deleted < _LIMIT:
            return
        await asyncio.sleep(_BREATH)


class Purger(Service):
    """Purges every queue at an interval, in bites."""

    name: ClassVar[str] = "purger"

    def __init__(self, site: Site, link: Link) -> None:
        super().__init__()
        self._site = site
        self._link = link

    async def run(self) -> None:
        """Purge at the interval."""
        interval = self._site.options.purge_time.total_seconds()
        while True:
            # A share of chance, so that the workers of a site do not all purge at once.
            await asyncio.sleep(interval * (0.5 + self._site.random.random() / 2))
            for queue in self._site.queues:
                await self._link.call("purge", partial(purge, self._site, queue))
