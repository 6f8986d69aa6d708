"""How long to wait before the next attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY
from datetime import timedelta
from random import Random
from typing import TypeAlias

from stoker._units import LONGEST, Seconds, duration, finite
from stoker._value import value
from stoker.errors import InvalidOption

__all__ = ["Backoff", "Delays", "Exponential", "Fixed", "Linear", "wait_before_retry"]

Backoff: TypeAlias = Callable[[int], Seconds]
"""Any callable: given the attempt that failed (1, 2, ...), it returns how long to wait.

A callable with an attribute `jitter`, 0 to 1, has that share of each wait left to chance.
"""


@value
class Exponential:
    """`first`, then `factor` times as long after each further failure.

    `Exponential(1.0)` waits 1 s, 2 s, 4 s, ... before the second, third, fourth run.

    Args:
        first: seconds before the second run.
        factor: how much longer each wait is than the one before.
        cap: no wait is longer than this.
        jitter: the share of each wait that is left to chance, 0 to 1: with 0.2 a wait of 10 s
            becomes one of 8 to 10 s, so that jobs which failed together do not return together.
    """

    first: Seconds = 1.0
    _: KW_ONLY
    factor: float = 2.0
    cap: Seconds | None = None
    jitter: float = 0.0

    def __post_init__(self) -> None:
        duration("first", self.first)
        finite("factor", self.factor, least=1.0)
        _check(self.cap, self.jitter)

    def __call__(self, attempt: int) -> timedelta:
        """Return the wait after the given attempt failed, without jitter."""
        first = duration("first", self.first).total_seconds()
        if not first:
            return timedelta(0)
        try:
            return _capped(first * self.factor ** (attempt - 1), self.cap)
        except OverflowError:
            return _capped(float("inf"), self.cap)


@value
class Linear:
    """`step`, twice `step`, three times `step`, ...

    `Linear(5)` waits 5 s, 10 s, 15 s, ... `cap` and `jitter` are as in `Exponential`.
    """

    step: Seconds = 1.0
    _: KW_ONLY
    cap: Seconds | None = None
    jitter: float = 0.0

    def __post_init__(self) -> None:
        duration("step", self.step)
        _check(self.cap, self.jitter)

    def __call__(self, attempt: int) -> timedelta:
        """Return the wait after the given attempt failed, without jitter."""
        return _capped(duration("step", self.step).total_seconds() * attempt, self.cap)


@value
class Fixed:
    """The same wait every time. `jitter` is as in `Exponential`."""

    delay: Seconds
    _: KW_ONLY
    jitter: float = 0.0

    def __post_init__(self) -> None:
        duration("delay", self.delay)
        _check(None, self.jitter)

    def __call__(self, attempt: int) -> timedelta:
        """Return the wait after the given attempt failed, without jitter."""
        return duration("delay", self.delay)


class Delays:
    """One wait after another from a list; the last one repeats.

    `Delays(1, 10, 60)` waits 1 s, 10 s, 60 s, 60 s, ... `jitter` is as in `Exponential`.
    """

    __slots__ = ("delays", "jitter")

    def __init__(self, *delays: Seconds, jitter: float = 0.0) -> None:
        if not delays:
            raise InvalidOption("Delays() needs at least one delay, for example Delays(1, 10, 60)")
        self.delays: tuple[timedelta, ...] = tuple(duration("Delays", delay) for delay in delays)
        self.jitter: float = jitter
        _check(None, jitter)

    def __call__(self, attempt: int) -> timedelta:
        """Return the wait after the given attempt failed, without jitter."""
        return self.delays[min(attempt, len(self.delays)) - 1]


def wait_before_retry(backoff: Backoff, attempt: int, random: Random) -> timedelta:
    """Return how long to wait after `attempt` failed, jitter included.

    Raises:
        InvalidOption: if a callable returned something that is not a length of time.
    """
    wait = duration("the wait that backoff returned", backoff(attempt))
    jitter = min(max(float(getattr(backoff, "jitter", 0.0)), 0.0), 1.0)
    return wait - wait * (jitter * random.random()) if jitter else wait


def _check(cap: Seconds | None, jitter: object) -> None:
    if cap is not None:
        duration("cap", cap)
    if not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        raise InvalidOption(f"jitter={jitter!r}: give the share to leave to chance, 0 to 1")


def _capped(seconds: float, cap: Seconds | None) -> timedelta:
    longest = LONGEST if cap is None else duration("cap", cap)
    return longest if seconds >= longest.total_seconds() else timedelta(seconds=seconds)
