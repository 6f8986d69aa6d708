"""A clock that a test turns by hand."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from stoker import SystemClock
from stoker.errors import InvalidOption, InvalidTime
from stoker.testing import ManualClock


async def test_it_stands_still_until_it_is_moved() -> None:
    clock = ManualClock()
    assert clock.now() == clock.given() == datetime(2030, 1, 1, tzinfo=UTC)
    await clock.advance(1.5)
    await clock.advance(timedelta(days=1))
    assert clock.now() == clock.given() == datetime(2030, 1, 2, 0, 0, 1, 500_000, tzinfo=UTC)
    await clock.set(datetime(2031, 1, 1, tzinfo=UTC))
    assert repr(clock) == "<ManualClock 2031-01-01T00:00:00+00:00>"


async def test_it_is_in_utc_whatever_it_was_given() -> None:
    tokyo = timezone(timedelta(hours=9))
    clock = ManualClock(datetime(2030, 1, 1, 9, tzinfo=tokyo))
    assert clock.now().tzinfo is UTC
    await clock.set(datetime(2030, 1, 2, 9, tzinfo=tokyo))
    assert clock.now() == datetime(2030, 1, 2, tzinfo=UTC)
    assert clock.now().tzinfo is UTC


async def test_it_runs_forward_only() -> None:
    clock = ManualClock()
    with pytest.raises(InvalidOption, match="advance=-1: give zero or more seconds"):
        await clock.advance(-1)
    with pytest.raises(InvalidTime, match="this clock runs forward only"):
        await clock.set(datetime(2029, 12, 31, tzinfo=UTC))
    await clock.set(clock.now())
    assert clock.now() == datetime(2030, 1, 1, tzinfo=UTC)


async def test_naive_times_are_refused() -> None:
    with pytest.raises(InvalidTime, match=r"start=.* is a naive datetime"):
        ManualClock(datetime(2030, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidTime, match=r"set=.* is a naive datetime"):
        await ManualClock().set(datetime(2031, 1, 1))  # noqa: DTZ001


def test_real_time_leaves_decisions_to_the_store() -> None:
    clock = SystemClock()
    given: object = clock.given()  # type: ignore[func-returns-value]
    assert given is None
    assert clock.now().tzinfo is UTC
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
