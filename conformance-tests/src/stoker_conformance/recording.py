"""What the plugin keeps of a session, and the reports that it makes of it at the end.

A record travels on the pytest report of its case, as text, so that it also arrives when cases run
in other processes (pytest-xdist).
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Self

import pytest

from stoker_conformance.report import CaseOutcome, CaseResult, DriverFacts, Report, write_report
from stoker_conformance.report.facts import Limits
from stoker_conformance.report.model import every_case
from stoker_conformance.report.page import summary

__all__ = ["Record", "Recorder"]

_ATTRIBUTE: Final = "stoker_conformance_record"


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one case, and whose case it is."""

    node: str
    """The harness: the id of its pytest node."""
    harness: str
    level: str
    rerun: str
    """The command that runs one case again, with `{case}` in the place of its id."""
    driver: DriverFacts | None
    result: CaseResult

    def attach(self, report: pytest.TestReport) -> None:
        """Put the record onto the report of its case."""
        setattr(report, _ATTRIBUTE, json.dumps(asdict(self)))

    @classmethod
    def of(cls, report: pytest.TestReport) -> Self | None:
        """Return the record on a report; `None` if that is of something else."""
        text = getattr(report, _ATTRIBUTE, None)
        if text is None:
            return None
        content = json.loads(text)
        driver = content["driver"]
        if driver:
            limits = Limits(**driver["limits"])
            driver |= {"limits": limits, "capabilities": tuple(driver["capabilities"])}
            content["driver"] = DriverFacts(**driver)
        result = content["result"]
        result |= {
            "outcome": CaseOutcome(result["outcome"]),
            "remarks": tuple(result["remarks"]),
        }
        return cls(**(content | {"result": CaseResult(**result)}))


@dataclass
class _Run:
    """The records of one harness."""

    first: Record
    results: dict[str, CaseResult] = field(default_factory=dict[str, CaseResult])


class Recorder:
    """The part of the plugin that collects records and reports them."""

    def __init__(self, folder: Path | None) -> None:
        self.reports: list[Report] = []
        """One a harness; there when the session has finished."""
        self._folder = folder
        self._runs: dict[str, _Run] = {}
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._written: list[Path] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record of a case; what comes later (its teardown) replaces it."""
        record = Record.of(report)
        if record is not None:
            run = self._runs.setdefault(record.node, _Run(record))
            run.results[record.result.id] = record.result

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Make the reports, and write them if a folder was named."""
        self.reports = [self._report(run) for run in self._runs.values()]
        for report in self.reports if self._folder else ():
            self._written += write_report(report, self._place(report))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what the run is worth, and where the reports are."""
        if not self.reports and self._folder is None:
            return
        terminalreporter.section("stoker conformance")
        for line in self._summary():
            terminalreporter.write_line(line)

    def _summary(self) -> Iterator[str]:
        for report in self.reports:
            yield f"{report.harness}: {report.result} at level {report.level} ({summary(report)})"
        yield from (f"written: {path}" for path in self._written)
        if not self.reports:
            yield "no case ran, so there is no report"

    def _report(self, run: _Run) -> Report:
        return Report(
            harness=run.first.harness,
            level=run.first.level,
            driver=run.first.driver,
            cases=every_case(run.results.values()),
            suite_version=version("stoker-conformance"),
            python=platform.python_version(),
            platform=platform.platform(),
            started=self._started,
            seconds=time.monotonic() - self._clock,
            rerun=run.first.rerun,
        )

    def _place(self, report: Report) -> Path:
        """Return the folder of a report: of several harnesses, each has one of its own."""
        folder = self._folder or Path()
        if len(self.reports) == 1:
            return folder
        return folder / re.sub(r"[^\w.-]+", "-", report.harness)
