"""From what a case raised to what is reported of it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Final

from stoker_conformance import runner
from stoker_conformance.case import Case
from stoker_conformance.expect import Inconclusive, Violation
from stoker_conformance.harness import Harness, NotOffered
from stoker_conformance.introducing import HarnessFailed
from stoker_conformance.report.model import CaseResult
from stoker_conformance.report.outcomes import CaseOutcome
from stoker_conformance.runner import NotRequired

__all__ = ["UnexpectedPass", "headline", "judge"]

_SPEAKING: Final = (AssertionError, NotRequired, NotOffered, HarnessFailed)
"""Errors whose message says it all, without the name of the class."""
_HARNESS_PARTS: Final = frozenset(name for name in vars(Harness) if not name.startswith("_"))


class UnexpectedPass(AssertionError):
    """A case passed that the harness declares as a deviation."""

    def __init__(self, case_id: str) -> None:
        super().__init__(
            f"the case passed, although the harness says that it fails: take {case_id} out of "
            "`deviations`"
        )


def judge(case: Case, harness: Harness[Any], error: BaseException) -> CaseResult:
    """Return what is to be reported of a case that ended with `error`."""
    outcome = _outcome(case, harness, error)
    deviation = harness.deviations.get(case.id) if outcome is CaseOutcome.DEVIATION else None
    found = CaseResult(
        id=case.id,
        outcome=outcome,
        message=headline(error),
        detail=_detail(error),
        reason=deviation.reason if deviation else None,
        link=deviation.link if deviation else None,
    )
    if not isinstance(error, Violation):
        return found
    return replace(found, message=error.what, expected=error.expected, seen=error.seen)


def headline(error: BaseException) -> str:
    """Return an error in one line, fit to be compared with others."""
    text = str(error).strip()
    if isinstance(error, _SPEAKING) and text:
        return text.splitlines()[0]
    return f"{type(error).__name__}: {text}".splitlines()[0].removesuffix(": ")


def _detail(error: BaseException) -> str | None:
    """Return what there is beyond the headline; a violation says all there is, but its cause."""
    if isinstance(error, NotRequired | UnexpectedPass):
        return None
    if isinstance(error, Violation) and error.__cause__ is None:
        return "\n".join(getattr(error, "__notes__", ())) or None
    return _trace(error)


def _trace(error: BaseException) -> str:
    """Return the traceback of an error, from the case on: not the way through pytest to it."""
    lines = traceback.format_exception(type(error), error, _below_runner(error.__traceback__))
    return "".join(lines).rstrip()


def _outcome(case: Case, harness: Harness[Any], error: BaseException) -> CaseOutcome:
    if isinstance(error, NotRequired):
        return CaseOutcome.NOT_REQUIRED
    if isinstance(error, UnexpectedPass):
        return CaseOutcome.UNEXPECTED_PASS
    if isinstance(error, Inconclusive):
        return CaseOutcome.UNKNOWN
    if isinstance(error, NotOffered) or any(_is_harness(tb) for tb in _walk(error.__traceback__)):
        return CaseOutcome.ERROR
    return CaseOutcome.DEVIATION if case.id in harness.deviations else CaseOutcome.FAILED


def _is_harness(tb: TracebackType) -> bool:
    """Whether a frame is a part of a harness: what is raised below it is no fault of the driver."""
    frame = tb.tb_frame
    owner = frame.f_locals.get("self")
    return isinstance(owner, Harness) and frame.f_code.co_name in _HARNESS_PARTS


def _below_runner(tb: TracebackType | None) -> TracebackType | None:
    below = tb
    for step in _walk(tb):
        if step.tb_frame.f_code.co_filename == runner.__file__:
            below = step.tb_next
    return below or tb


def _walk(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next
