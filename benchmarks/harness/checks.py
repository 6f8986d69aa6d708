"""What has to be true of a run before its figures count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

__all__ = ["Wrong", "check_count", "check_runs"]

_SHOWN = 5


class Wrong(Exception):
    """Jobs were lost or doubled, or the store does not hold what it should. There is no figure."""


def check_runs(numbers: Iterable[int], expected: range) -> None:
    """Check that each job ran exactly once, and no other did.

    Raises:
        Wrong: and says which did not.
    """
    runs = Counter(numbers)
    problems = {
        "never ran": [number for number in expected if number not in runs],
        "ran more than once": [number for number, times in runs.items() if times > 1],
        "ran and are unknown": [number for number in runs if number not in expected],
    }
    said = [f"{len(which):,} {what} ({_some(which)})" for what, which in problems.items() if which]
    if said:
        raise Wrong(f"of {len(expected):,} jobs " + ", ".join(said))


def check_count(counts: dict[str, Any], *, unfinished: int, finished: int | None) -> None:
    """Check what the store says of itself; `finished` is `None` where it need not be known.

    Raises:
        Wrong: it holds other numbers of jobs.
    """
    if counts["unfinished"] != unfinished:
        raise Wrong(f"the store has {counts['unfinished']:,} unfinished jobs, not {unfinished:,}")
    if finished is not None and counts["finished"] != finished:
        raise Wrong(f"the store has {counts['finished']} finished jobs, not {finished:,}")


def _some(numbers: list[int]) -> str:
    first = ", ".join(str(number) for number in numbers[:_SHOWN])
    return first if len(numbers) <= _SHOWN else f"{first}, ..."
