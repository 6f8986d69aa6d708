"""What is shown while cases run, on a terminal and elsewhere."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from stoker_conformance.cli._live import Bar, Lines
from stoker_conformance.recording import Record
from stoker_conformance.report import CaseOutcome, CaseResult

RESULTS = [
    CaseResult("HAR-01", CaseOutcome.PASSED, seconds=0.01),
    CaseResult("CLM-07", CaseOutcome.FAILED, seconds=2.04, remarks=("in one process",)),
    CaseResult("TXN-01", CaseOutcome.NOT_REQUIRED),
]


def report_of(result: CaseResult) -> pytest.TestReport:
    """The report of a case, with its record."""
    report = pytest.TestReport(
        nodeid=f"suite.py::mine:Good::{result.id}",
        location=("suite.py", 0, result.id),
        keywords={},
        outcome="passed",
        longrepr=None,
        when="call",
    )
    Record("node", "mine:Good", "fast", "again", None, result).attach(report)
    return report


def test_elsewhere_a_case_is_a_plain_line() -> None:
    file = io.StringIO()
    lines = Lines(Console(file=file, width=40))
    for result in RESULTS:
        lines.pytest_runtest_logreport(report_of(result))
    first, second, third = file.getvalue().splitlines()
    assert first == f"HAR-01  passed          {RESULTS[0].case.title}"
    assert second == f"CLM-07  failed          {RESULTS[1].case.title}  (in one process, 2.0 s)"
    assert third.startswith("TXN-01  not required    ")


def test_on_a_terminal_a_bar_counts_below_the_rows() -> None:
    file = io.StringIO()
    bar = Bar(Console(file=file, width=120, force_terminal=True, color_system=None))
    bar.pytest_collection_finish(SimpleNamespace(items=RESULTS))  # type: ignore[arg-type]
    for result in RESULTS:
        report = report_of(result)
        bar.pytest_runtest_logstart(report.nodeid)
        bar.pytest_runtest_logreport(report)
    bar.pytest_sessionfinish()
    shown = file.getvalue()
    assert "2/3" in shown
    assert "1 passed 1 failed 1 not required" in shown
    assert shown.index("HAR-01") < shown.index("CLM-07   failed")


def test_reports_of_other_tests_are_not_shown() -> None:
    file = io.StringIO()
    report = pytest.TestReport("a", ("a", 0, "a"), {}, "passed", None, "call")
    Lines(Console(file=file)).pytest_runtest_logreport(report)
    assert file.getvalue() == ""
