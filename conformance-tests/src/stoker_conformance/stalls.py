"""For how long an operation keeps the event loop from turning, against a control beside it.

A busy machine holds up everything; a driver that blocks holds up its loop alone. So a thread sleeps
and wakes up beside the loop: what makes both of them late is not charged to the driver.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

__all__ = ["stall_of"]

_NAP: Final = 0.005


@dataclass(frozen=True, slots=True)
class _Nap:
    """One sleep of `_NAP` seconds, as it was."""

    began: float
    ended: float
    busy: float
    """Seconds for which the sleeper's thread computed meanwhile."""

    @property
    def late(self) -> float:
        """For how long it lasted beyond its time."""
        return max(self.ended - self.began - _NAP, 0.0)

    def overlaps(self, other: _Nap) -> bool:
        """Whether there is a moment that belongs to both."""
        return self.began < other.ended and other.began < self.ended


async def stall_of(operation: Awaitable[object]) -> float:
    """Await `operation`; return the longest stall of the loop that is its own doing, in seconds.

    That is the time by which a timer of the loop was later than one of a thread beside it, or for
    which the loop's thread computed without a turn of the loop, whichever is longer.
    """
    with _Control() as control:
        over = asyncio.Event()
        sleeper = asyncio.create_task(_sleep_until(over), name="stalls: sleeper")
        await asyncio.sleep(0)  # it sleeps now
        try:
            await operation
        finally:
            over.set()
            naps = await sleeper
    return max(_charged(nap, control.naps) for nap in naps)


def _charged(nap: _Nap, beside: Iterable[_Nap]) -> float:
    excused = max((other.late for other in beside if other.overlaps(nap)), default=0.0)
    return max(nap.late - excused, nap.busy)


async def _sleep_until(over: asyncio.Event) -> list[_Nap]:
    naps: list[_Nap] = []
    while not (over.is_set() and naps):
        began, busy = time.perf_counter(), time.thread_time()
        await asyncio.sleep(_NAP)
        naps.append(_Nap(began, time.perf_counter(), time.thread_time() - busy))
    return naps


class _Control:
    """A thread that sleeps and wakes up, and nothing else."""

    def __init__(self) -> None:
        self.naps: list[_Nap] = []
        self._over = False
        self._thread = threading.Thread(target=self._run, name="stalls: control", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        self._thread.join()

    def _run(self) -> None:
        while not self._over:
            began = time.perf_counter()
            time.sleep(_NAP)
            self.naps.append(_Nap(began, time.perf_counter(), 0.0))
