"""A red case as text: all that an author needs to act on it."""

from __future__ import annotations

from typing import Final

from stoker.errors import Unsupported
from stoker_conformance.clauses import CLAUSES
from stoker_conformance.report.model import CaseResult
from stoker_conformance.report.outcomes import CaseOutcome
from stoker_conformance.source import place

__all__ = ["advice", "evidence", "red_text", "sentence"]

_SENTENCES: Final = {clause.id: clause.sentence for clause in CLAUSES}
_PREFACES: Final = {
    CaseOutcome.ERROR: "This is about the harness: nothing is known of the driver yet.",
    CaseOutcome.UNKNOWN: "This proves nothing, neither for the driver nor against it.",
}
_ADVICE: Final = {
    CaseOutcome.ERROR: "Repair the harness: the part of it that the message names.",
    CaseOutcome.UNEXPECTED_PASS: "The defect is gone. Take the case out of `deviations`.",
    CaseOutcome.UNKNOWN: "Run the case again, on a machine that does nothing else.",
}

_REFUSAL: Final = f"{Unsupported.__name__}:"


def sentence(clause_id: str) -> str:
    """Return the sentence of a clause."""
    return _SENTENCES[clause_id]


def evidence(found: CaseResult) -> str:
    """Return what was looked at, what the contract wants, and what was seen."""
    lines = [found.message or found.outcome.replace("_", " ")]
    if found.expected is not None:
        lines += [f"  expected: {found.expected}", f"  seen:     {found.seen}"]
    return "\n".join(lines)


def advice(found: CaseResult) -> str:
    """Return what to do: the fix of the case, unless something else has to come first."""
    fix = found.case.fix
    if found.outcome is CaseOutcome.FAILED and (found.message or "").startswith(_REFUSAL):
        return f"The case needs this operation: write it first. Should it then still be red: {fix}"
    return _ADVICE.get(found.outcome, fix)


def red_text(found: CaseResult, rerun: str) -> str:
    """Return a case that is not green as text; `rerun` is the command that repeats it."""
    case = found.case
    path, line = place(case)
    blocks = [
        f"{found.id}  {case.title}",
        *filter(None, [_PREFACES.get(found.outcome)]),
        evidence(found),
        f"How to fix: {advice(found)}",
        "\n".join(["The contract says:", *(f"  {sentence(one)} ({one})" for one in case.clauses)]),
        f"Run it again: {rerun}\nThe case: {path}:{line}",
        *filter(None, [found.detail]),
    ]
    return "\n\n".join(blocks)
