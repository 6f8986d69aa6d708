"""Running cases against one saboteur."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from saboteurs import harness_of

from stoker.driver import Driver
from stoker_conformance import (
    Case,
    Harness,
    Inconclusive,
    NotOffered,
    NotRequired,
    run_case,
)

__all__ = ["red_cases"]

_BOUND: Final = 20.0
"""The most seconds that a case may take here; it is as red when it takes longer."""
_GRACE: Final = 15
"""Seconds after the bound until the process is interrupted: its loop does not turn any more."""


def red_cases(driver: type[Driver], cases: Sequence[Case], recorded: Collection[str]) -> list[str]:
    """Return the ids of the cases that are red for a driver.

    A case that is red is run once more, and counts when it is red again: luck does not. One that
    is `recorded` as red counts when it is red in one of two runs, so that what is nearly always
    red does not come and go.
    """
    return asyncio.run(_red_cases(driver, cases, recorded))


async def _red_cases(
    driver: type[Driver], cases: Sequence[Case], recorded: Collection[str]
) -> list[str]:
    store = _Store(lambda: harness_of(driver))
    try:
        red: list[str] = []
        for case in cases:
            runs = [await store.is_red(case)]
            if runs[0] or case.id in recorded:
                runs.append(await store.is_red(case))
            if all(runs) or (case.id in recorded and any(runs)):
                red.append(case.id)
        return red
    finally:
        await store.stop()


class _Store:
    """A harness that is set up anew after each red case, which may have left it in any state."""

    def __init__(self, make: Callable[[], Harness[Any]]) -> None:
        self._make = make
        self._harness: Harness[Any] | None = None

    async def is_red(self, case: Case) -> bool:
        """Run a case."""
        if self._harness is None:
            self._harness = self._make()
            await self._harness.setup()
        try:
            with _interrupted(after=_BOUND + _GRACE):
                await run_case(replace(case, bound=min(case.bound, _BOUND)), self._harness)
        except (NotRequired, NotOffered, Inconclusive):
            return False
        except Exception:  # noqa: BLE001 - a driver that breaks in any way has been found out
            await self.stop()
            return True
        return False

    async def stop(self) -> None:
        """Tear the harness down."""
        if self._harness is not None:
            await self._harness.teardown()
            self._harness = None


@contextmanager
def _interrupted(after: float) -> Iterator[None]:
    """Raise in the middle of whatever runs after so many seconds, a loop without an end even."""

    def interrupt(signum: int, frame: object) -> None:
        raise TimeoutError("the event loop is held up")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
