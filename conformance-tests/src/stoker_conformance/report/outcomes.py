"""What can become of a case, and what many of them together are worth."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

__all__ = ["RED", "CaseOutcome", "Result", "conclude"]


class CaseOutcome(StrEnum):
    """What became of one case."""

    PASSED = "passed"
    FAILED = "failed"
    """The driver broke the contract."""
    ERROR = "error"
    """The harness could not do its part, so nothing is known of the driver."""
    NOT_REQUIRED = "not_required"
    """The driver does not declare the capability or the scope."""
    DEVIATION = "deviation"
    """It failed as the harness says in `deviations`."""
    UNEXPECTED_PASS = "unexpected_pass"
    """It passed although the harness says that it fails: the deviation is out of date."""
    UNKNOWN = "unknown"
    """What was seen proves nothing."""
    NOT_RUN = "not_run"
    """Deselected, skipped, or not reached."""


class Result(StrEnum):
    """What a run is worth."""

    SUCCESS = "success"
    """Every case passed or is not required."""
    PARTIAL = "partial"
    """Nothing failed, but something is missing: a deviation, an unknown, a case not run."""
    FAILURE = "failure"
    """A case failed, or could not be run, or passed unexpectedly."""


RED: Final = frozenset({CaseOutcome.FAILED, CaseOutcome.ERROR, CaseOutcome.UNEXPECTED_PASS})
"""The outcomes that make a run a failure."""

_GREEN: Final = frozenset({CaseOutcome.PASSED, CaseOutcome.NOT_REQUIRED})


def conclude(outcomes: Iterable[CaseOutcome]) -> Result:
    """Return the result of these outcomes; without any it is `partial`, for nothing was shown."""
    seen = set(outcomes)
    if seen & RED:
        return Result.FAILURE
    return Result.SUCCESS if seen and seen <= _GREEN else Result.PARTIAL
