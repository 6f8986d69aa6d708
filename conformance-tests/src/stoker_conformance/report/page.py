"""A run as `report.md`: a page that a stranger can act on, verdict first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stoker_conformance.report.model import CapabilityVerdict, CaseResult, Cause, Report
from stoker_conformance.report.outcomes import CaseOutcome, Result
from stoker_conformance.report.red import advice, evidence, sentence
from stoker_conformance.source import location

__all__ = ["page", "summary"]

_VERDICTS: Final = {
    Result.SUCCESS: "The driver keeps every clause of the contract that it has to keep.",
    Result.PARTIAL: "Nothing failed, but the run does not show that the contract is kept: see "
    "what is open, below.",
    Result.FAILURE: "The driver does not keep the contract. Repair in the order of the list below: "
    "what comes first is what the rest stands on.",
}
_OPEN: Final = (CaseOutcome.DEVIATION, CaseOutcome.UNKNOWN, CaseOutcome.NOT_RUN)
_MOST_CAUSES: Final = 10


def page(report: Report) -> str:
    """Return the page, as Markdown."""
    return "\n".join(_lines(report)) + "\n"


def summary(report: Report) -> str:
    """Return how many cases have which outcome, in words: "160 passed, 5 not required"."""
    return ", ".join(
        f"{number} {outcome.replace('_', ' ')}"
        for outcome, number in report.counts.items()
        if number or outcome is CaseOutcome.PASSED
    )


def _lines(report: Report) -> Iterator[str]:
    driver = report.driver
    name = f"{driver.name} {driver.version}" if driver else report.harness
    yield f"# {name}: {report.result}"
    yield ""
    yield _VERDICTS[report.result]
    yield ""
    yield f"{summary(report)}; level {report.level}, {report.seconds:.0f} s."
    yield from _identity(report)
    if report.red:
        yield from _causes(report)
        yield from _failures(report)
    yield from _open(report)
    yield from _capabilities(report)
    yield from _cases(report)


def _identity(report: Report) -> Iterator[str]:
    yield ""
    yield f"- suite {report.suite_version}, contract {report.protocol}"
    if report.driver:
        driver = report.driver
        yield (
            f"- scope {driver.scope}, clock of the {driver.clock}, durability {driver.durability}"
        )
        yield f"- capabilities: {', '.join(driver.capabilities) or 'none'}"
    yield f"- harness `{report.harness}`, Python {report.python}, {report.platform}"
    yield f"- started {report.started.isoformat(timespec='seconds')}"


def _causes(report: Report) -> Iterator[str]:
    causes = report.causes
    yield from ("", "## What to repair, in this order", "")
    for number, cause in enumerate(causes[:_MOST_CAUSES], start=1):
        yield f"{number}. {_cause(cause)}"
    if len(causes) > _MOST_CAUSES:
        yield ""
        yield f"... and {len(causes) - _MOST_CAUSES} more, below."


def _cause(cause: Cause) -> str:
    first, *others = cause.cases
    also = f" (and {len(others)} more cases)" if others else ""
    return f"[{first.id}](#{first.id.lower()}) {_code(cause.message)}{also}"


def _failures(report: Report) -> Iterator[str]:
    yield from ("", "## What failed")
    for found in report.red:
        yield from _failure(report, found)


def _failure(report: Report, found: CaseResult) -> Iterator[str]:
    case = found.case
    yield from ("", f"### {found.id}", "", case.title, "")
    if found.outcome is not CaseOutcome.FAILED:
        yield from (f"Outcome: **{found.outcome.replace('_', ' ')}**", "")
    yield from _block(evidence(found))
    yield from ("", f"**How to fix.** {advice(found)}", "", "The contract says:", "")
    yield from (f"- {sentence(clause)} (`{clause}`)" for clause in case.clauses)
    yield from ("", f"The case: `{location(case)}`. To run only this one:", "")
    yield from _block(report.rerun.format(case=found.id), "console")
    if found.detail:
        yield from ("", "<details><summary>Details</summary>", "")
        yield from _block(found.detail)
        yield from ("", "</details>")


def _open(report: Report) -> Iterator[str]:
    open_cases = report.with_outcome(*_OPEN)
    if not open_cases:
        return
    yield from ("", "## What is open", "", "| case | outcome | why |", "|---|---|---|")
    for found in open_cases:
        why = f"{found.reason} ({found.link})" if found.reason else found.message
        yield _row(found.id, found.outcome.replace("_", " "), why or "not reached or deselected")


def _capabilities(report: Report) -> Iterator[str]:
    yield from ("", "## Capabilities", "", "| | passed | result |", "|---|---|---|")
    for verdict in report.capabilities:
        yield _row(verdict.name, *_verdict(verdict))


def _verdict(verdict: CapabilityVerdict) -> tuple[str, str]:
    if not verdict.declared:
        return "", "not declared"
    return f"{verdict.passed} of {verdict.required}", str(verdict.result)


def _cases(report: Report) -> Iterator[str]:
    yield from ("", "## All cases", "", "| case | outcome | title | remarks |", "|---|---|---|---|")
    for found in report.cases:
        outcome = found.outcome.replace("_", " ")
        yield _row(found.id, outcome, found.case.title, "; ".join(found.remarks))


def _row(*cells: str) -> str:
    escaped = (" ".join(cell.replace("|", "\\|").split()) for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _code(text: str | None) -> str:
    """Return a text within a line that Markdown leaves as it is."""
    return f"`{(text or '').replace('`', chr(39))}`"


def _block(text: str, language: str = "text") -> Iterator[str]:
    """Return a fenced block; the fence is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    yield f"{fence}{language}"
    yield from text.splitlines()
    yield fence
