"""The worker's contact with its store: outages are waited out, and remembered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Final, TypeVar

from stoker.driver import Driver
from stoker.errors import DriverUnavailable

__all__ = ["Link"]

T = TypeVar("T")

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 5.0

log: Final = logging.getLogger("stoker.worker")


class Link:
    """Calls the driver until it answers.

    Only operations that are safe to repeat go through here: a claim whose reply was lost comes
    back by reap, a settlement answers `ALREADY`, the others converge.
    """

    def __init__(self, driver: Driver, random: Random) -> None:
        self.driver = driver
        self._random = random
        self._steady_since: float | None = None

    async def call(self, what: str, operation: Callable[[], Awaitable[T]]) -> T:
        """Return what `operation()` answers, repeating it with backoff while it cannot."""
        wait = _FIRST_WAIT
        failures = 0
        while True:
            try:
                answer = await operation()
            except DriverUnavailable as error:
                self._steady_since = None
                failures += 1
                if failures == 1:
                    log.warning("%s: the store does not answer, trying again: %s", what, error)
                # A share of chance, or all workers of a site would come back in the same moment.
                await asyncio.sleep(wait * (0.5 + self._random.random() / 2))
                wait = min(wait * 2, _LONGEST_WAIT)
            else:
                if self._steady_since is None:
                    self._steady_since = time.monotonic()
                if failures:
                    log.warning("%s: the store answers again, after %d failures", what, failures)
                return answer

    async def once(self, what: str, operation: Callable[[], Awaitable[T]]) -> T | None:
        """Return what `operation()` answers; `None` if the store cannot be reached.

        For what would be wrong to do later, when the store is back.
        """
        try:
            return await operation()
        except DriverUnavailable as error:
            self._steady_since = None
            log.warning("%s: the store does not answer: %s", what, error)
            return None

    def steady_for(self, period: timedelta) -> bool:
        """Return whether the store has answered without interruption for so long."""
        since = self._steady_since
        return since is not None and time.monotonic() - since >= period.total_seconds()
