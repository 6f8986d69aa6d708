"""Lengths of time and moments, as people write them."""

import math
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker._units import LONGEST, duration, finite, moment
from stoker.errors import InvalidOption, InvalidTime


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (0, timedelta(0)),
        (5, timedelta(seconds=5)),
        (0.25, timedelta(milliseconds=250)),
        (timedelta(days=1), timedelta(days=1)),
        (LONGEST, LONGEST),
    ],
)
def test_seconds_and_timedeltas_mean_the_same(written: float | timedelta, meant: timedelta) -> None:
    assert duration("delay", written) == meant


@pytest.mark.parametrize(
    "wrong",
    [-1, -0.001, timedelta(-1), math.nan, math.inf, 1e300, LONGEST + timedelta(1), "5", None, []],
)
def test_what_is_no_length_of_time_is_refused_and_named(wrong: Any) -> None:
    with pytest.raises(InvalidOption) as caught:
        duration("delay", wrong)
    assert str(caught.value).startswith(f"delay={wrong!r}")
    assert "give zero or more seconds, as a number or timedelta" in str(caught.value)


def test_zero_is_refused_where_something_is_needed() -> None:
    with pytest.raises(InvalidOption, match="give more than zero seconds"):
        duration("lease", 0, positive=True)


@given(st.floats(min_value=0, max_value=3e9))
def test_every_number_of_seconds_up_to_a_century_is_kept(seconds: float) -> None:
    assert duration("delay", seconds) == timedelta(seconds=seconds)


def test_an_aware_moment_is_returned_as_it_is() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    assert moment("at", at) is at


class _NoOffset(tzinfo):
    def utcoffset(self, _: datetime | None) -> None: ...

    def dst(self, _: datetime | None) -> None: ...

    def tzname(self, _: datetime | None) -> None: ...


@pytest.mark.parametrize("zone", [None, _NoOffset()])
def test_a_naive_moment_is_refused_with_the_way_out(zone: tzinfo | None) -> None:
    with pytest.raises(InvalidTime, match=r"at=.* is a naive datetime: give it a time zone"):
        moment("at", datetime(2030, 1, 1, tzinfo=zone))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.5, -1.0])
def test_a_number_that_is_not_finite_or_too_small_is_refused(wrong: float) -> None:
    with pytest.raises(InvalidOption, match=r"factor=.*at least 1"):
        finite("factor", wrong, least=1.0)


def test_a_number_in_range_is_returned() -> None:
    assert finite("factor", 1.5, least=1.0) == 1.5
