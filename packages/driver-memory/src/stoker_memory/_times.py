"""Whole microseconds inside, aware datetimes outside."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from stoker.driver import from_micros, to_micros

__all__ = ["instant", "instant_or_none", "micros", "moment", "span"]

_LAST: Final = to_micros(datetime.max.replace(tzinfo=UTC))
_MICROSECOND: Final = timedelta(microseconds=1)


def moment(now: datetime | None) -> int:
    """Return the `now` of an operation in microseconds; `None` asks the process's clock."""
    return time.time_ns() // 1_000 if now is None else to_micros(now)


def micros(length: timedelta) -> int:
    """Return a length of time in whole microseconds."""
    return length // _MICROSECOND


def span(length: int) -> timedelta:
    """Return whole microseconds as a length of time, never below zero."""
    return timedelta(microseconds=max(length, 0))


@lru_cache(maxsize=1_024)
def instant(when: int) -> datetime:
    """Return a point in time as a datetime.

    Jobs of one batch share their times, so most calls are answered from the cache. A `now` that
    is given may be the last datetime there is, and a lease from there ends beyond it: that is
    shown as the last one, too.
    """
    return from_micros(min(when, _LAST))


def instant_or_none(when: int | None) -> datetime | None:
    """Return a point in time as a datetime, if there is one."""
    return None if when is None else instant(when)
