"""How long to wait before the next attempt."""

import math
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker import Backoff, Delays, Exponential, Fixed, Linear
from stoker._units import LONGEST
from stoker.errors import InvalidOption
from stoker.retry import wait_before_retry


def waits(backoff: Backoff, count: int) -> list[float]:
    """The waits before the second, third, ... run, without chance."""
    random = Random(0)
    return [wait_before_retry(backoff, n, random).total_seconds() for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        (Exponential(1.0), [1, 2, 4, 8, 16]),
        (Exponential(), [1, 2, 4, 8, 16]),
        (Exponential(0.5, factor=3), [0.5, 1.5, 4.5, 13.5, 40.5]),
        (Exponential(timedelta(minutes=1), cap=timedelta(minutes=5)), [60, 120, 240, 300, 300]),
        (Exponential(1.0, factor=1), [1, 1, 1, 1, 1]),
        (Exponential(0), [0, 0, 0, 0, 0]),
        (Linear(5), [5, 10, 15, 20, 25]),
        (Linear(timedelta(seconds=2), cap=7), [2, 4, 6, 7, 7]),
        (Linear(), [1, 2, 3, 4, 5]),
        (Fixed(10), [10, 10, 10, 10, 10]),
        (Fixed(0), [0, 0, 0, 0, 0]),
        (Delays(1, 10, timedelta(minutes=1)), [1, 10, 60, 60, 60]),
        (Delays(3), [3, 3, 3, 3, 3]),
        (lambda attempt: attempt * 100, [100, 200, 300, 400, 500]),
        (lambda attempt: timedelta(seconds=attempt), [1, 2, 3, 4, 5]),
    ],
)
def test_waits_are_literally_these(backoff: Backoff, expected: list[float]) -> None:
    assert waits(backoff, 5) == expected


JITTERED: list[Callable[[float], Any]] = [
    lambda jitter: Exponential(1.0, jitter=jitter),
    lambda jitter: Linear(1.0, jitter=jitter),
    lambda jitter: Fixed(4.0, jitter=jitter),
    lambda jitter: Delays(1, 2, 4, 8, jitter=jitter),
]


def test_jitter_takes_its_share_of_each_wait_by_the_generator_given() -> None:
    chance = Random(7)
    expected = [base - base * 0.25 * chance.random() for base in (1, 2, 4, 8)]
    random = Random(7)
    backoff = Exponential(1.0, jitter=0.25)
    found = [wait_before_retry(backoff, n, random).total_seconds() for n in range(1, 5)]
    assert found == pytest.approx(expected, abs=1e-5)
    assert found != [1, 2, 4, 8]


@pytest.mark.parametrize("make", JITTERED)
@given(st.floats(0, 1), st.integers(1, 12), st.integers())
def test_jitter_shortens_a_wait_by_its_share_at_most(
    make: Callable[[float], Any], jitter: float, attempt: int, seed: int
) -> None:
    whole = make(0.0)(attempt)
    wait = wait_before_retry(make(jitter), attempt, Random(seed))
    assert whole * (1 - jitter) - timedelta(microseconds=2) <= wait <= whole


def test_without_jitter_the_generator_is_not_asked() -> None:
    random = Random(3)
    state = random.getstate()
    wait_before_retry(Exponential(1.0), 1, random)
    assert random.getstate() == state


def test_the_same_seed_gives_the_same_waits() -> None:
    backoff = Exponential(1.0, jitter=1.0)
    one, other = Random(11), Random(11)
    assert [wait_before_retry(backoff, n, one) for n in range(1, 9)] == [
        wait_before_retry(backoff, n, other) for n in range(1, 9)
    ]


def test_a_callable_with_a_jitter_has_its_waits_jittered() -> None:
    class Own:
        jitter = 0.5

        def __call__(self, _: int) -> float:
            return 10.0

    assert 5.0 <= wait_before_retry(Own(), 1, Random(1)).total_seconds() < 10.0


@given(
    st.floats(0.001, 1e9),
    st.floats(1, 1e6),
    st.integers(1, 1_000_000),
    st.none() | st.floats(0, 1e9),
)
def test_no_exponential_wait_is_longer_than_its_cap_or_a_century(
    first: float, factor: float, attempt: int, cap: float | None
) -> None:
    wait = Exponential(first, factor=factor, cap=cap)(attempt)
    assert timedelta(0) <= wait <= (LONGEST if cap is None else timedelta(seconds=cap))


@given(st.floats(0.001, 1e6), st.floats(1, 100), st.integers(1, 100))
def test_exponential_waits_never_become_shorter(first: float, factor: float, attempt: int) -> None:
    backoff = Exponential(first, factor=factor)
    assert backoff(attempt) <= backoff(attempt + 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Exponential(-1), "first=-1: give zero or more seconds"),
        (lambda: Exponential(math.nan), "first=nan"),
        (lambda: Exponential(1, factor=0.5), "factor=0.5: give a number of at least 1"),
        (lambda: Exponential(1, factor=math.inf), "factor=inf"),
        (lambda: Exponential(1, cap=-1), "cap=-1"),
        (lambda: Exponential(1, jitter=1.1), "jitter=1.1: give the share to leave to chance"),
        (lambda: Exponential(1, jitter=-0.1), "jitter=-0.1"),
        (lambda: Exponential(1, jitter=math.nan), "jitter=nan"),
        (lambda: Linear(-1), "step=-1"),
        (lambda: Linear(1, cap=-1), "cap=-1"),
        (lambda: Linear(1, jitter=2), "jitter=2"),
        (lambda: Fixed(-1), "delay=-1"),
        (lambda: Fixed(1, jitter=2), "jitter=2"),
        (Delays, r"Delays\(\) needs at least one delay, for example Delays\(1, 10, 60\)"),
        (lambda: Delays(1, -1), "Delays=-1"),
        (lambda: Delays(1, jitter=2), "jitter=2"),
    ],
)
def test_values_out_of_range_are_refused_when_written_down(
    make: Callable[[], object], words: str
) -> None:
    with pytest.raises(InvalidOption, match=words):
        make()


@pytest.mark.parametrize("returned", [-1, math.nan, "5", None])
def test_a_callable_that_returns_no_length_of_time_is_named_as_the_culprit(returned: Any) -> None:
    with pytest.raises(InvalidOption, match="the wait that backoff returned="):
        wait_before_retry(lambda _: returned, 1, Random(0))
