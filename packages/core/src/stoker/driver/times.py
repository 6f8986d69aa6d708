"""Times in requests, and the whole microseconds that drivers store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from stoker._value import value
from stoker.errors import InvalidInput

__all__ = ["IMMEDIATELY", "After", "At", "When", "from_micros", "resolve", "to_micros"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@value
class After:
    """A time relative to the `now` of the operation; never negative."""

    delay: timedelta


@value
class At:
    """A point in time, as an aware datetime; a past one means the operation's `now`."""

    time: datetime


When: TypeAlias = After | At
"""A time in a request. It is resolved by the store, rounded *up* to its declared precision."""

IMMEDIATELY: Final[When] = After(timedelta(0))
"""The operation's own `now`."""


def to_micros(moment: datetime) -> int:
    """Return `moment` as whole microseconds since 1970 in UTC.

    Raises:
        InvalidInput: if `moment` is naive.
    """
    if moment.tzinfo is None:
        raise InvalidInput(f"{moment!r} is a naive datetime: give it a time zone")
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return whole microseconds since 1970 as an aware datetime in UTC."""
    return _EPOCH + micros * _MICROSECOND


def resolve(when: When, now: int, precision: int = 1, *, keep_past: bool = False) -> int:
    """Return when `when` is, in microseconds, for an operation at `now`.

    The result is rounded up to a multiple of `precision` microseconds, so that nothing is ever
    early. A point in time before `now` becomes `now`, unless `keep_past` (the ticks of schedules).

    Raises:
        InvalidInput: for a negative delay or a naive datetime.
    """
    if isinstance(when, After):
        offset = when.delay // _MICROSECOND
        if offset < 0:
            raise InvalidInput(f"After({when.delay!r}) is negative")
        moment = now + offset
    else:
        moment = to_micros(when.time)
        if moment < now and not keep_past:
            moment = now
    return moment if precision == 1 else -(-moment // precision) * precision
