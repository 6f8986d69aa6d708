"""Whole microseconds on the wire, aware datetimes outside."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from stoker.driver import After, When, from_micros, to_micros

__all__ = ["instant", "instant_or_none", "micros", "moment", "span", "span_or_none", "when"]

_MICROSECOND: Final = timedelta(microseconds=1)


def moment(now: datetime | None) -> int | None:
    """Return the `now` that an operation was given; `None` lets the server's clock decide."""
    return None if now is None else to_micros(now)


def when(time: When) -> tuple[int | None, int | None]:
    """Return a time in a request as a delay or a time, whichever it is; the server resolves it."""
    if isinstance(time, After):
        return micros(time.delay), None
    return None, to_micros(time.time)


def micros(length: timedelta) -> int:
    """Return a length of time in whole microseconds."""
    return length // _MICROSECOND


def span(length: int) -> timedelta:
    """Return a length of time, never below zero."""
    return timedelta(microseconds=max(length, 0))


def span_or_none(length: int | None) -> timedelta | None:
    """Return a length of time, if there is one."""
    return None if length is None else span(length)


@lru_cache(maxsize=1_024)
def instant(when: int) -> datetime:
    """Return a point in time; most jobs of a batch share theirs, so the cache answers for them."""
    return from_micros(when)


def instant_or_none(when: int | None) -> datetime | None:
    """Return a point in time, if there is one."""
    return None if when is None else instant(when)
