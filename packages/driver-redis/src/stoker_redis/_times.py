"""Whole microseconds on the wire, aware datetimes outside."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from stoker.driver import IMMEDIATELY, After, When, from_micros, to_micros

__all__ = [
    "AT",
    "NONE",
    "instant",
    "instant_or_none",
    "micros",
    "moment",
    "span",
    "span_or_none",
    "when",
]

NONE: Final = -(2**60)
"""Stands for a time that there is not."""

_MICROSECOND: Final = timedelta(microseconds=1)
_NOW: Final = (0, 0)
_AFTER: Final = 1
AT: Final = 2
"""The number in a time is a time, not a delay."""


def moment(now: datetime | None) -> int | str:
    """Return the `now` that an operation was given; nothing lets the server's clock decide."""
    return "" if now is None else to_micros(now)


def when(time: When) -> tuple[int, int]:
    """Return a time in a request as the scripts take it: what the number is, and the number."""
    if time is IMMEDIATELY:
        return _NOW
    if isinstance(time, After):
        return _AFTER, micros(time.delay)
    return AT, to_micros(time.time)


def micros(length: timedelta) -> int:
    """Return a length of time in whole microseconds."""
    return length // _MICROSECOND


def span(length: int) -> timedelta:
    """Return a length of time, never below zero."""
    return timedelta(microseconds=max(length, 0))


@lru_cache(maxsize=256)
def span_or_none(length: int) -> timedelta | None:
    """Return a length of time; a negative one stands for none."""
    return None if length < 0 else timedelta(microseconds=length)


@lru_cache(maxsize=1_024)
def instant(when: int) -> datetime:
    """Return a point in time; most jobs of a batch share theirs, so the cache answers for them."""
    return from_micros(when)


def instant_or_none(when: int) -> datetime | None:
    """Return a point in time, if there is one."""
    return None if when == NONE else instant(when)
