"""What is shown at the end of a run: what is red, the verdict, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from stoker_conformance.report import CaseOutcome, CaseResult, Report, Result
from stoker_conformance.report.model import Cause
from stoker_conformance.report.page import summary
from stoker_conformance.report.red import red_text

__all__ = ["close"]

_MOST_TEXTS: Final = 10
_MOST_CAUSES: Final = 12
_MOST_IDS: Final = 8
_COLOURS: Final = {Result.SUCCESS: "green", Result.PARTIAL: "yellow", Result.FAILURE: "red"}


def close(console: Console, report: Report, folder: Path | None) -> None:
    """Print all that an author wants to know of a run."""
    _red_cases(console, report, folder)
    if not report.with_outcome(CaseOutcome.NOT_RUN):
        _capabilities(console, report)
    _next(console, report)
    _open(console, report)
    name = f"{report.driver.name} {report.driver.version}" if report.driver else report.harness
    console.print()
    console.print(
        f"{name}: [bold {_COLOURS[report.result]}]{report.result}[/] at level {report.level} "
        f"({summary(report)}; {report.seconds:.0f} s)",
        highlight=False,
        soft_wrap=True,
    )
    if folder:
        console.print(f"report: {folder / 'report.md'}", highlight=False, soft_wrap=True)


def _red_cases(console: Console, report: Report, folder: Path | None) -> None:
    """Print red cases in full, one of each cause: the others would only say it again."""
    unknown = [Cause(found.message or "", (found,)) for found in _unknown(report)]
    causes = [*report.causes, *unknown]
    for cause in causes[:_MOST_TEXTS]:
        console.rule(style="dim")
        found, *others = cause.cases
        text = red_text(found, report.rerun.format(case=found.id))
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        if others:
            console.print(f"\nThe same in: {_ids(others)}", highlight=False)
        console.print()
    if len(causes) > _MOST_TEXTS:
        where = "in report.md" if folder else "with --out DIR, or one at a time with -k"
        console.print(f"... and {len(causes) - _MOST_TEXTS} more causes, {where}.\n")


def _unknown(report: Report) -> tuple[CaseResult, ...]:
    return report.with_outcome(CaseOutcome.UNKNOWN)


def _ids(cases: Sequence[CaseResult]) -> str:
    """Return the first ids of many cases, and how many more there are."""
    ids = [found.id for found in cases]
    more = f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""
    return ", ".join(ids[:_MOST_IDS]) + more


def _capabilities(console: Console, report: Report) -> None:
    table = Table("", "passed", "result", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for verdict in report.capabilities:
        if not verdict.declared or verdict.result is None:
            table.add_row(f"[dim]{verdict.name}", "", "[dim]not declared")
            continue
        colour = _COLOURS[verdict.result]
        passed = f"{verdict.passed} of {verdict.required}"
        table.add_row(verdict.name, passed, f"[{colour}]{verdict.result}")
    console.print()
    console.print(table)


def _next(console: Console, report: Report) -> None:
    """Say what to repair, in the order of teaching: one line for cases that say the same."""
    causes = report.causes
    if not causes:
        return
    console.print("\nWhat to do next, in this order:", style="bold")
    for number, cause in enumerate(causes[:_MOST_CAUSES], start=1):
        line = f"{number:3}. {cause.cases[0].id:<7} {cause.message}{_others(cause)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if len(causes) > _MOST_CAUSES:
        console.print(f"     ... and {len(causes) - _MOST_CAUSES} more.")


def _others(cause: Cause) -> str:
    number = len(cause.cases) - 1
    return f"  ({number} more {'case waits' if number == 1 else 'cases wait'})" if number else ""


def _open(console: Console, report: Report) -> None:
    """Say what keeps a run without failures from being a success."""
    for found in report.with_outcome(CaseOutcome.DEVIATION):
        line = f"deviation {found.id}: {found.reason} ({found.link})"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    not_run = report.with_outcome(CaseOutcome.NOT_RUN)
    if not_run and report.result is Result.PARTIAL:
        console.print(
            f"\n{len(not_run)} cases did not run, so nothing is certified.", highlight=False
        )
