"""Seconds, as people write them."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TypeAlias

from stoker.errors import InvalidOption, InvalidTime

Seconds: TypeAlias = float | timedelta
"""A length of time: a number of seconds, or a `timedelta`."""

LONGEST = timedelta(days=36_500)
"""No length of time is longer: about a century."""


def duration(what: str, seconds: Seconds, *, positive: bool = False) -> timedelta:
    """Return `seconds` as a timedelta.

    Raises:
        InvalidOption: if it is negative, not finite, over a century, or zero where `positive`.
    """
    try:
        length = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
    except (TypeError, ValueError, OverflowError):
        length = timedelta(-1)
    if length < timedelta(0) or length > LONGEST or (positive and not length):
        least = "more than zero" if positive else "zero or more"
        raise InvalidOption(f"{what}={seconds!r}: give {least} seconds, as a number or timedelta")
    return length


def moment(what: str, at: object) -> datetime:
    """Return `at` if it is an aware datetime.

    Raises:
        InvalidTime: if it is naive, or no datetime.
    """
    if not isinstance(at, datetime):
        raise InvalidTime(f"{what}={at!r} is no datetime: give datetime(..., tzinfo=...)")
    if at.tzinfo is None or at.utcoffset() is None:
        raise InvalidTime(
            f"{what}={at!r} is a naive datetime: give it a time zone, for example "
            "datetime.now(timezone.utc) or datetime(..., tzinfo=ZoneInfo('Europe/Berlin'))"
        )
    return at


def finite(what: str, number: object, *, least: float = 0.0) -> float:
    """Return `number` if it is finite and at least `least`.

    Raises:
        InvalidOption: if it is not.
    """
    if not isinstance(number, int | float) or not math.isfinite(number) or number < least:
        raise InvalidOption(f"{what}={number!r}: give a number of at least {least:g}")
    return number
