"""Passes the store's hints on: there may be work, or a running job may be cancelled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar, Final, cast

from stoker.driver import Wake, Wakeup
from stoker.worker.link import Link
from stoker.worker.service import Service
from stoker.worker.site import Site

__all__ = ["Listener"]

_LONGEST_WAIT: Final = timedelta(seconds=5)


class Listener(Service):
    """Waits for hints, whether or not there are free slots."""

    name: ClassVar[str] = "listener"

    def __init__(
        self, site: Site, link: Link, *, work: Callable[[], None], cancel: Callable[[], None]
    ) -> None:
        super().__init__()
        self._queues = list(site.queues)
        self._link = link
        self._work = work
        self._cancel = cancel

    async def run(self) -> None:
        """Wait, pass on, wait."""
        driver = cast("Wakeup", self._link.driver)
        while True:
            wake = await self._link.call("wait", lambda: driver.wait(self._queues, _LONGEST_WAIT))
            if Wake.WORK in wake:
                self._work()
            if Wake.CANCEL in wake:
                self._cancel()
