"""Where "now" comes from.

In production the store's own clock decides, so that the clocks of clients do not matter: the core
passes `now=None` with every operation. A test passes a clock that it can turn; then every
operation carries that time, on any driver, and no other clock is consulted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """A source of time for an application."""

    def now(self) -> datetime:
        """Return the current time, aware and in UTC, as the process sees it."""
        ...

    def given(self) -> datetime | None:
        """Return the `now` to pass to a driver: `None` lets the store's own clock decide."""
        ...


class SystemClock:
    """Real time: the process's clock for display, the store's clock for every decision."""

    def now(self) -> datetime:
        """Return the current time of the process, in UTC."""
        return datetime.now(UTC)

    def given(self) -> None:
        """Return `None`: the store's own clock decides."""
        return
