"""The command `run`: all cases against one driver."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
import pytest
from rich.console import Console

from stoker_conformance.bench import Level
from stoker_conformance.cli._closing import close
from stoker_conformance.cli._driving import Order, drive
from stoker_conformance.cli._live import Bar, Lines
from stoker_conformance.loading import HarnessNotFound, load_harness
from stoker_conformance.recording import Record
from stoker_conformance.report import Report, Result

__all__ = ["exit_code", "run"]

NOT_SUCCESS: Final = 1
"""Exit code: the result is `failure` or `partial`."""
MISUSED: Final = 2
"""Exit code: no case could be run, and trying again is of no use before something is changed."""


class _Misused(click.ClickException):
    exit_code = MISUSED


class _SetupWatch:
    """Ends the run when the harness cannot be set up: every case would only say it again."""

    problem: str | None = None

    def __init__(self) -> None:
        self._session: pytest.Session | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record = Record.of(report)
        if record and self._session and report.when == "setup" and report.failed:
            self.problem = record.result.message
            self._session.shouldstop = "the harness cannot be set up"


@click.command()
@click.argument("harness", metavar="MODULE:CLASS")
@click.option(
    "--level",
    type=click.Choice([str(level) for level in Level]),
    default=str(Level.FAST),
    show_default=True,
    help="How much the cases try; a certificate needs full.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write report.json, report.md and (from level full on) certificate.json there.",
)
@click.option(
    "-k",
    "keyword",
    default="",
    metavar="EXPR",
    help='Run only these: a case (LSE-01), a family (LSE), or "FNC or LSE".',
)
@click.option("-x", "stop", is_flag=True, help="Stop at the first case that is red.")
def run(harness: str, level: str, folder: Path | None, keyword: str, stop: bool) -> None:
    """Run the cases against the driver that a harness connects to.

    MODULE:CLASS names the harness, for example my_driver.conformance:MyHarness; the module is also
    looked for in the current folder. The exit code is 0 if the result is `success`, 1 if it is
    `partial` or `failure`, and 2 if no case could be run.
    """
    try:
        load_harness(harness)
    except HarnessNotFound as error:
        raise _Misused(str(error)) from error
    console = Console()
    watch = _SetupWatch()
    display = Bar(console) if console.is_terminal else Lines(console)
    report, code = drive(Order(harness, level, keyword, stop, folder), watch, display)
    if watch.problem is not None:
        raise _Misused(f"{harness} cannot be set up: {watch.problem}")
    if report is None:
        raise _nothing_ran(keyword, code)
    close(console, report, folder)
    raise SystemExit(exit_code(report))


def exit_code(report: Report) -> int:
    """Return the exit code of a run: 0 for a success, and for nothing else."""
    return 0 if report.result is Result.SUCCESS else NOT_SUCCESS


def _nothing_ran(keyword: str, code: int) -> click.ClickException:
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        return _Misused(
            f"-k {keyword!r} matches no case: `stoker-conformance cases` lists their ids"
        )
    if code == pytest.ExitCode.INTERRUPTED:
        return click.ClickException("interrupted before the first case had ended")
    return _Misused(f"pytest could not run the cases (its exit code is {code}, see above)")
