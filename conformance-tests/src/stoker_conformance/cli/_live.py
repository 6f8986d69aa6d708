"""What is shown while cases run: a line a case, and on a terminal a bar that moves below them."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stoker_conformance.recording import Record
from stoker_conformance.report import CaseOutcome, CaseResult

__all__ = ["COLOURS", "Bar", "Lines"]

COLOURS: Final = {
    CaseOutcome.PASSED: "green",
    CaseOutcome.FAILED: "bold red",
    CaseOutcome.ERROR: "bold red",
    CaseOutcome.UNEXPECTED_PASS: "bold red",
    CaseOutcome.DEVIATION: "yellow",
    CaseOutcome.UNKNOWN: "yellow",
    CaseOutcome.NOT_RUN: "yellow",
    CaseOutcome.NOT_REQUIRED: "dim",
}
"""How each outcome looks."""

_WIDTH: Final = max(len(outcome) for outcome in CaseOutcome)


class Lines:
    """A plugin of pytest that prints a plain line a case: for files, pipes and CI."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print what became of a case."""
        record = Record.of(report)
        if record is not None:
            found = record.result
            line = f"{found.id:<7} {_words(found.outcome):<{_WIDTH}} {found.case.title}"
            self._console.print(line + _more(found), markup=False, highlight=False, soft_wrap=True)


class Bar:
    """A plugin of pytest that prints a table row a case, and how far the run is."""

    def __init__(self, console: Console) -> None:
        self._counts: Counter[CaseOutcome] = Counter()
        # No thread repaints it: while a case runs, pytest has the terminal's output.
        self._progress = Progress(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[counts]}"),
            TextColumn("[dim]{task.fields[case]}"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task("cases", total=None, counts="", case="")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn how many cases there are."""
        self._progress.start()
        self._progress.update(self._task, total=len(session.items), refresh=True)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show which case is running."""
        self._progress.update(self._task, case=nodeid.rpartition("::")[2], refresh=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print a row for the case, and move the bar."""
        record = Record.of(report)
        if record is None:
            return
        self._counts[record.result.outcome] += 1
        self._progress.console.print(_row(record.result))
        counts = " ".join(
            f"[{COLOURS[outcome]}]{number} {_words(outcome)}[/]"
            for outcome, number in self._counts.items()
        )
        self._progress.update(self._task, advance=1, counts=counts, refresh=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def _row(found: CaseResult) -> Table:
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=7)
    row.add_column(width=_WIDTH)
    row.add_column()
    colour = COLOURS[found.outcome]
    title = Text(found.case.title, style="dim" if colour == "dim" else "")
    title.append(escape(_more(found)), style="dim")
    row.add_row(found.id, Text(_words(found.outcome), style=colour), title)
    return row


def _words(outcome: CaseOutcome) -> str:
    return outcome.replace("_", " ")


def _more(found: CaseResult) -> str:
    """Return the remarks of a case, and its seconds if one would notice them."""
    parts = [*found.remarks, *([f"{found.seconds:.1f} s"] if found.seconds >= 0.5 else [])]
    return f"  ({', '.join(parts)})" if parts else ""
