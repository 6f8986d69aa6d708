"""A clock that a test turns by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from stoker._units import Seconds, duration, moment
from stoker.errors import InvalidTime

__all__ = ["ManualClock"]


class ManualClock:
    """Time that stands still until it is moved; it works with every driver.

    An app with this clock passes its time with every operation, so that delays, backoff, leases
    and schedules are exact and take no time at all.

    Args:
        start: the first moment; the default is the beginning of 2030, in UTC.

    Raises:
        InvalidTime: if `start` is naive.

    Example::

        clock = ManualClock()
        async with Stoker("memory://", jobs=[emails], clock=clock) as app:
            await app.schedule(remind, Reminder(...), delay=timedelta(days=1))
            await clock.advance(timedelta(days=1))
            await app.run_until_idle()
    """

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._now = moment("start", start).astimezone(UTC)

    def __repr__(self) -> str:
        return f"<ManualClock {self._now.isoformat()}>"

    def now(self) -> datetime:
        """Return the time it shows, in UTC."""
        return self._now

    def given(self) -> datetime:
        """Return the same: drivers are given this time and look at no other clock."""
        return self._now

    async def advance(self, by: Seconds) -> None:
        """Move the clock forward, in seconds or by a timedelta.

        Raises:
            InvalidOption: if `by` is negative.
        """
        self._now += duration("advance", by)
        await asyncio.sleep(0)

    async def set(self, to: datetime) -> None:
        """Move the clock forward to a moment.

        Raises:
            InvalidTime: if it is naive, or in the past of this clock.
        """
        if moment("set", to) < self._now:
            raise InvalidTime(f"{to!r} is before {self._now!r}: this clock runs forward only")
        self._now = to.astimezone(UTC)
        await asyncio.sleep(0)
