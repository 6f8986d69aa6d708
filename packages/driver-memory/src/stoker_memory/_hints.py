"""Hints that wake waiting clients, on whatever loop and in whatever thread they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from stoker.driver import Wake

__all__ = ["Hints", "Waiter"]


class Waiter:
    """What one client waits for, and the hints that have come for it."""

    __slots__ = ("_alarm", "_asked", "_latched")

    def __init__(self) -> None:
        self._latched: dict[str, Wake] = {}
        """Every queue ever waited for, with the hints that no wait has taken yet."""
        self._asked: frozenset[str] = frozenset()
        self._alarm: asyncio.Future[None] | None = None
        """Set while the client sleeps; done when it is to wake up."""

    @property
    def queues(self) -> Iterable[str]:
        """The queues whose hints are latched."""
        return self._latched

    @property
    def sleeps(self) -> bool:
        """Whether a wait is in progress."""
        return self._alarm is not None

    def latch(self, queue: str, hint: Wake) -> None:
        """Keep a hint for the next wait, and end the one in progress if it asks for `queue`."""
        latched = self._latched.get(queue, Wake.NOTHING)
        # Often it is latched already, and uniting flags costs a microsecond.
        if latched is not hint:
            self._latched[queue] = latched | hint
        if queue in self._asked:
            self.ring()

    def take(self, queues: Iterable[str]) -> Wake:
        """Return the hints that have come for `queues`, and forget them."""
        hints = Wake.NOTHING
        for queue in queues:
            if latched := self._latched.get(queue, Wake.NOTHING):
                hints |= latched
                self._latched[queue] = Wake.NOTHING
        return hints

    def sleep(self, queues: Iterable[str]) -> asyncio.Future[None]:
        """Go to sleep: return what is done at the next hint for one of `queues`."""
        self._asked = frozenset(queues)
        self._alarm = asyncio.get_running_loop().create_future()
        return self._alarm

    def rise(self) -> None:
        """Be awake again, for whatever reason."""
        self._asked = frozenset()
        self._alarm = None

    def ring(self) -> None:
        """Wake the client up, if it sleeps."""
        if self._alarm is None:
            return
        loop = self._alarm.get_loop()
        # One alarm is enough; what else comes before the client is awake is latched.
        self._asked = frozenset()
        if loop is _running_loop():
            _finish(self._alarm)
            return
        try:
            loop.call_soon_threadsafe(_finish, self._alarm)
        except RuntimeError:
            # A client that was dropped together with its loop has nobody to wake.
            if not loop.is_closed():
                raise


class Hints:
    """Which clients want to know about which queue. Used under the lock of the store."""

    def __init__(self) -> None:
        self._waiters: dict[str, dict[Waiter, None]] = {}

    def subscribe(self, waiter: Waiter, queues: Iterable[str]) -> None:
        """Latch the hints for `queues` from now on; a new queue begins with `WORK`."""
        for queue in queues:
            waiters = self._waiters.setdefault(queue, {})
            if waiter not in waiters:
                waiters[waiter] = None
                waiter.latch(queue, Wake.WORK)

    def unsubscribe(self, waiter: Waiter) -> None:
        """Latch nothing any more."""
        for queue in waiter.queues:
            waiters = self._waiters[queue]
            del waiters[waiter]
            if not waiters:
                del self._waiters[queue]

    def tell(self, queue: str, hint: Wake) -> None:
        """Let every client that waits for `queue` know."""
        for waiter in self._waiters.get(queue, ()):
            waiter.latch(queue, hint)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _finish(alarm: asyncio.Future[None]) -> None:
    if not alarm.done():
        alarm.set_result(None)
