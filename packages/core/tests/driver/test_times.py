"""Times in requests."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.driver import IMMEDIATELY, After, At, from_micros, resolve, to_micros
from stoker.errors import InvalidInput

MOMENTS = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001
    datetime(2249, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(MOMENTS)
def test_a_moment_comes_back_from_its_microseconds(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment


def test_microseconds_are_those_of_utc_whatever_the_zone() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert to_micros(datetime(1970, 1, 1, 9, 0, 1, tzinfo=tokyo)) == 1_000_000
    with pytest.raises(InvalidInput, match="is a naive datetime: give it a time zone"):
        to_micros(datetime(1970, 1, 1))  # noqa: DTZ001


@given(
    st.timedeltas(timedelta(0), timedelta(days=36_500)) | MOMENTS,
    st.integers(0, 2**52),
    st.sampled_from([1, 1000, 1_000_000]),
)
def test_nothing_is_early_nor_late_by_more_than_the_precision(
    when: timedelta | datetime, now: int, precision: int
) -> None:
    resolved = resolve(After(when) if isinstance(when, timedelta) else At(when), now, precision)
    exact = (
        now + when // timedelta(microseconds=1)
        if isinstance(when, timedelta)
        else max(to_micros(when), now)
    )
    assert exact <= resolved < exact + precision
    assert resolved % precision == 0 or precision == 1


def test_a_point_in_the_past_means_now_unless_the_past_is_to_be_kept() -> None:
    past = At(from_micros(5))
    assert resolve(past, 100) == 100
    assert resolve(past, 100, keep_past=True) == 5
    assert resolve(IMMEDIATELY, 100) == 100


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"After\(.*\) is negative"):
        resolve(After(timedelta(microseconds=-1)), 100)
