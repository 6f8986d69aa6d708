"""The pytest nodes: a harness with its event loop, and the cases that run on it."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from stoker_conformance.bench import Level
from stoker_conformance.case import Case
from stoker_conformance.catalog import CASES
from stoker_conformance.expect import Violation
from stoker_conformance.harness import Harness
from stoker_conformance.runner import NotRequired, run_case
from stoker_conformance.suite import Suite

__all__ = ["CaseItem", "HarnessNode", "SuiteFile", "load_harness"]

T = TypeVar("T")


class SuiteFile(pytest.File):
    """The suite of the installed package: one node a `--harness`."""

    def collect(self) -> Iterable[HarnessNode]:
        """Return a node for each harness named on the command line."""
        for reference in self.config.getoption("--harness") or ():
            yield HarnessNode.of(self, reference, Suite(load_harness(reference)))


class HarnessNode(pytest.Collector):
    """One harness: set up before its first case, torn down after its last, on one event loop."""

    suite: Suite
    harness: Harness[Any]
    _loop: asyncio.Runner | None = None

    @classmethod
    def of(cls, parent: pytest.Collector, name: str, suite: Suite) -> Self:
        """Return a node for `suite`."""
        node = cls.from_parent(parent, name=name)
        node.suite = suite
        return node

    def collect(self) -> Iterable[CaseItem]:
        """Return an item for each case, in the order of the catalog."""
        for case in CASES:
            yield CaseItem.of(self, case)

    def setup(self) -> None:
        """Make the harness and its event loop."""
        self.harness = self.suite.harness()
        self._loop = asyncio.Runner()
        self.run(self.harness.setup())

    def teardown(self) -> None:
        """Tear the harness down, and close the loop."""
        if self._loop is None:
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

    @classmethod
    def of(cls, parent: HarnessNode, case: Case) -> Self:
        """Return an item for `case`."""
        item = cls.from_parent(parent, name=case.id)
        item.case = case
        item.node = parent
        return item

    def runtest(self) -> None:
        """Run the case; a capability that is not declared makes it not required."""
        suite = self.node.suite
        level = suite.level or Level(self.config.getoption("--level"))
        try:
            self.node.run(run_case(self.case, self.node.harness, level))
        except NotRequired as reason:
            pytest.skip(f"not required: {reason}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """Return what an author needs: id, title, expected and seen, what to look at, and where."""
        case = self.case
        path, line, _ = self.reportinfo()
        lines = [f"{case.id}  {case.title}", "", str(excinfo.value), ""]
        if not isinstance(excinfo.value, Violation):
            lines[2] = f"{type(excinfo.value).__name__}: {excinfo.value}"
            lines += [str(super().repr_failure(excinfo, style)), ""]
        lines += getattr(excinfo.value, "__notes__", [])
        lines += [f"How to fix: {case.fix}", f"Clauses: {', '.join(case.clauses)}"]
        lines += [f"Case: {path}:{(line or 0) + 1}"]
        return "\n".join(lines)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the case is written."""
        source = inspect.getsourcefile(self.case.body) or __file__
        _, line = inspect.getsourcelines(self.case.body)
        return Path(source), line - 1, f"{self.case.id} [{self.node.name}]"


def load_harness(reference: str) -> type[Harness[Any]]:
    """Return the harness class that `module:Class` names.

    Raises:
        pytest.UsageError: if there is no such module or class, or it is not a harness.
    """
    module_name, _, class_name = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # as for `python -m`: the author's file is often just here
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), class_name or "?")
    except (ImportError, AttributeError) as error:
        raise pytest.UsageError(f"--harness {reference}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Harness)):
        raise pytest.UsageError(f"--harness {reference}: it is not a subclass of Harness")
    return found
