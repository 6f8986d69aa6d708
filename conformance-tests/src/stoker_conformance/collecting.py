"""The pytest nodes: a harness with its event loop, and the cases that run on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from stoker_conformance.bench import Level
from stoker_conformance.case import Case
from stoker_conformance.catalog import CASES
from stoker_conformance.harness import Harness
from stoker_conformance.introducing import introduce, make
from stoker_conformance.judging import UnexpectedPass, headline, judge
from stoker_conformance.loading import HarnessNotFound, load_harness
from stoker_conformance.recording import Record
from stoker_conformance.report import CaseOutcome, CaseResult, DriverFacts
from stoker_conformance.report.red import red_text
from stoker_conformance.runner import NotRequired, run_case
from stoker_conformance.source import place
from stoker_conformance.suite import Suite

__all__ = ["CaseItem", "HarnessNode", "SuiteFile"]

T = TypeVar("T")


class SuiteFile(pytest.File):
    """The suite of the installed package: one node a `--harness`."""

    def collect(self) -> Iterable[HarnessNode]:
        """Return a node for each harness named on the command line."""
        for reference in self.config.getoption("--harness") or ():
            try:
                harness = load_harness(reference)
            except HarnessNotFound as error:
                raise pytest.UsageError(f"--harness {reference}: {error}") from error
            node = HarnessNode.of(self, reference, Suite(harness))
            level = "" if node.level is Level.FAST else f" --level {node.level}"
            node.rerun = f"stoker-conformance run {reference}{level} -k {{case}}"
            yield node


class HarnessNode(pytest.Collector):
    """One harness: set up before its first case, torn down after its last, on one event loop."""

    suite: Suite
    harness: Harness[Any] | None = None
    """`None` before it is set up."""
    driver: DriverFacts | None = None
    rerun: str
    """The command that runs one case again, with `{case}` in the place of its id."""
    _loop: asyncio.Runner | None = None

    @classmethod
    def of(cls, parent: pytest.Collector, name: str, suite: Suite) -> Self:
        """Return a node for `suite`."""
        node = cls.from_parent(parent, name=name)
        node.suite = suite
        node.rerun = f"pytest {node.nodeid}::{{case}}"
        return node

    @property
    def level(self) -> Level:
        """How much its cases try."""
        return self.suite.level or Level(self.config.getoption("--level"))

    def collect(self) -> Iterable[CaseItem]:
        """Return an item for each case, in the order of the catalog."""
        unknown = self.suite.without.keys() - {case.id for case in CASES}
        if unknown:
            raise self.CollectError(
                f"`without` names cases that do not exist: {', '.join(sorted(unknown))}"
            )
        for case in CASES:
            yield CaseItem.of(self, case)

    def setup(self) -> None:
        """Make the harness and its event loop, and learn what its driver says of itself."""
        self.harness = make(self.suite.harness)
        self._loop = asyncio.Runner()
        self.driver = DriverFacts.of(self.run(introduce(self.harness)))

    def teardown(self) -> None:
        """Tear the harness down, and close the loop."""
        if self._loop is None or self.harness is None:
            return
        try:
            self.run(self.harness.teardown())
        finally:
            self._loop.close()
            self._loop = None

    def run(self, operation: Awaitable[T]) -> T:
        """Run something on the event loop of this harness."""
        if self._loop is None:
            raise RuntimeError(f"the harness {self.name} is not set up")

        async def awaited() -> T:
            return await operation

        return self._loop.run(awaited())


class CaseItem(pytest.Item):
    """One case against one harness."""

    case: Case
    node: HarnessNode
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, parent: HarnessNode, case: Case) -> Self:
        """Return an item for `case`."""
        item = cls.from_parent(parent, name=case.id)
        item.case = case
        item.node = parent
        return item

    def runtest(self) -> None:
        """Run the case; what the driver does not declare makes it not required."""
        left_out = self.node.suite.without.get(self.case.id)
        if left_out is not None:
            raise pytest.skip.Exception(f"left out: {left_out}")
        harness = self._harness
        try:
            self.remarks = self.node.run(run_case(self.case, harness, self.node.level))
        except NotRequired as reason:
            raise pytest.skip.Exception(f"not required: {reason}") from reason
        if self.case.id in harness.deviations:
            raise UnexpectedPass(self.case.id)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """Return what an author needs: id, title, expected and seen, what to do, and where."""
        found = judge(self.case, self._harness, excinfo.value)
        return red_text(found, self.node.rerun.format(case=self.case.id))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the case is written."""
        path, line = place(self.case)
        return path, line - 1, f"{self.case.id} [{self.node.name}]"

    def record(self, report: pytest.TestReport, error: BaseException | None) -> None:
        """Put onto the report of a phase what it says of the case, if anything.

        A deviation becomes an expected failure, and is no red test.
        """
        if report.when != "call" and error is None:
            return
        found = replace(self._found(report, error), seconds=report.duration, remarks=self.remarks)
        if found.outcome is CaseOutcome.DEVIATION:
            report.outcome = "skipped"
            report.wasxfail = f"{found.reason} ({found.link})"
        node = self.node
        Record(node.nodeid, node.name, node.level, node.rerun, node.driver, found).attach(report)

    def _found(self, report: pytest.TestReport, error: BaseException | None) -> CaseResult:
        if error is None:
            return CaseResult(self.case.id, CaseOutcome.PASSED)
        if report.skipped and not isinstance(error.__cause__, NotRequired):
            return CaseResult(self.case.id, CaseOutcome.NOT_RUN, message=f"skipped: {error}")
        if report.when == "call":
            cause = error.__cause__ if report.skipped else error
            return _with_output(judge(self.case, self._harness, cause or error), report)
        message = headline(error) if report.when == "setup" else f"teardown: {headline(error)}"
        return CaseResult(
            self.case.id, CaseOutcome.ERROR, message=message, detail=report.longreprtext
        )

    @property
    def _harness(self) -> Harness[Any]:
        if self.node.harness is None:
            raise RuntimeError(f"the harness {self.node.name} is not set up")
        return self.node.harness


def _with_output(found: CaseResult, report: pytest.TestReport) -> CaseResult:
    """Add to a red case what was printed and logged while it ran."""
    if not found.is_red or not report.sections:
        return found
    parts = [f"{title}:\n{text.rstrip()}" for title, text in report.sections]
    return replace(found, detail="\n\n".join([*filter(None, [found.detail]), *parts]))
