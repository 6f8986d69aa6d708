"""Tells the store that this worker is alive."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import ClassVar, Final, cast

from pydantic_core import to_json

from stoker.driver import Presence
from stoker.worker.link import Link
from stoker.worker.service import Service
from stoker.worker.site import Site

__all__ = ["Announcer"]

_TIME_TO_LIVE: Final = timedelta(seconds=30)


class Announcer(Service):
    """Announces the worker at a third of the time that an announcement lives."""

    name: ClassVar[str] = "announcer"

    def __init__(self, site: Site, link: Link, worker: str, info: dict[str, object]) -> None:
        super().__init__()
        self._site = site
        self._link = link
        self._worker = worker
        self._info = to_json(info)

    async def run(self) -> None:
        """Announce until cancelled."""
        while True:
            await self._link.call("announce", self._announce)
            await asyncio.sleep(_TIME_TO_LIVE.total_seconds() / 3)

    async def withdraw(self) -> None:
        """Say that the worker has stopped."""
        await cast("Presence", self._link.driver).withdraw(self._worker)

    async def _announce(self) -> None:
        await cast("Presence", self._link.driver).announce(
            self._worker,
            list(self._site.queues),
            _TIME_TO_LIVE,
            self._info,
            now=self._site.clock.given(),
        )
