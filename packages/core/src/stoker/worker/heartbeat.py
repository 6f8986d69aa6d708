"""Keeps the leases of running jobs alive, stores their reports, and learns of cancels."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar, Final, TypeAlias

from stoker.driver import Extended, ExtendStatus, Extension, Token
from stoker.driver.batches import batches, size_of_extension
from stoker.worker.held import HeldLeases
from stoker.worker.link import Link
from stoker.worker.service import Service, set_within
from stoker.worker.site import Site

__all__ = ["Heartbeat"]

Learned: TypeAlias = Callable[[Token, Extended], None]

_BUSY_PAUSE: Final = 0.25
_BUSY_PATIENCE: Final = 5.0


class Heartbeat(Service):
    """Extends all held leases at an interval, and reports between beats.

    Args:
        held: the leases to keep alive.
        learned: told the answer for every token that was not simply extended.
    """

    name: ClassVar[str] = "heartbeat"

    def __init__(self, site: Site, link: Link, held: HeldLeases, learned: Learned) -> None:
        super().__init__()
        self._site = site
        self._link = link
        self._learned = learned
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._all_wanted = False
        self._sending = asyncio.Lock()
        self._held = held
        self._extended_at: float | None = None
        held.reported = self._reported

    def beat_now(self) -> None:
        """Extend all leases without waiting for the next beat: a cancel may have been requested."""
        self._all_wanted = True
        self._wanted.set()

    async def beat(self) -> None:
        """Extend all leases once, and wait for the answers."""
        await self._extend(only_reports=False)

    def extended_within(self, period: timedelta) -> bool:
        """Return whether no lease was last extended, or claimed, longer ago than `period`."""
        since = self._extended_at
        return since is not None and time.monotonic() - since <= period.total_seconds()

    async def run(self) -> None:
        """Beat at the interval; store reports as they come."""
        interval = self._site.options.heartbeat_time.total_seconds()
        due = self._loop.time() + interval
        while True:
            await set_within(self._wanted, max(due - self._loop.time(), 0))
            every_one = self._all_wanted or self._loop.time() >= due
            self._wanted.clear()
            self._all_wanted = False
            if every_one:
                due = self._loop.time() + interval
            await self._extend(only_reports=not every_one)

    def _reported(self) -> None:
        # From any thread, also after the loop of a stopped worker is closed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wanted.set)

    async def _extend(self, *, only_reports: bool) -> None:
        # One at a time: what a beat has taken must have landed before the next one takes more.
        async with self._sending:
            began = time.monotonic()
            items = self._held.extensions(only_reports=only_reports)
            try:
                busy = await self._send_all(items)
                if not only_reports:
                    # Leases last from when they were asked for, at the least. A busy record is
                    # held by a transaction: nobody can reap it meanwhile.
                    self._extended_at = began
                await self._insist(busy)
            finally:
                # Those that were answered have landed; the next beat takes up the others.
                for item in items:
                    self._held.give_back(item)

    async def _insist(self, busy: list[Extension]) -> None:
        patience = self._loop.time() + _BUSY_PATIENCE
        while busy and self._loop.time() < patience:
            await asyncio.sleep(_BUSY_PAUSE)
            busy = await self._send_all(busy)

    async def _send_all(self, items: list[Extension]) -> list[Extension]:
        """Extend leases; return those whose records are busy."""
        busy: list[Extension] = []
        for batch in batches(items, size_of_extension, self._link.driver.info):
            busy += await self._send(batch)
        return busy

    async def _send(self, items: list[Extension]) -> list[Extension]:
        answers = await self._link.call("extend", lambda: self._ask(items))
        busy = []
        for item, answer in zip(items, answers, strict=True):
            if answer.status is ExtendStatus.BUSY:
                busy.append(item)
                continue
            self._held.stored(item)
            if answer.status is not ExtendStatus.EXTENDED or answer.cancel_reason is not None:
                self._learned(item.token, answer)
        return busy

    async def _ask(self, items: list[Extension]) -> list[Extended]:
        return await self._link.driver.extend(
            items, lease=self._site.options.lease_time, now=self._site.clock.given()
        )
