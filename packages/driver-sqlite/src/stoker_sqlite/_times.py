"""Whole microseconds inside, aware datetimes outside."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from stoker.driver import from_micros, to_micros

__all__ = [
    "instant",
    "instant_or_none",
    "micros",
    "moment",
    "span",
    "system_now",
]

_MICROSECOND: Final = timedelta(microseconds=1)


def system_now() -> int:
    """Return the process's time."""
    return time.time_ns() // 1_000


def moment(now: datetime | None) -> int | None:
    """Return the `now` that an operation was given; `None` lets the process's clock decide."""
    return None if now is None else to_micros(now)


def micros(length: timedelta) -> int:
    """Return a length of time in whole microseconds."""
    return length // _MICROSECOND


def span(length: int) -> timedelta:
    """Return a length of time, never below zero."""
    return timedelta(microseconds=max(length, 0))


@lru_cache(maxsize=1_024)
def instant(when: int) -> datetime:
    """Return a point in time; most jobs of a batch share theirs, so the cache answers for them."""
    return from_micros(when)


def instant_or_none(when: int | None) -> datetime | None:
    """Return a point in time, if there is one."""
    return None if when is None else instant(when)
