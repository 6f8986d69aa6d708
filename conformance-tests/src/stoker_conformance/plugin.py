"""The pytest plugin of the conformance suite.

It does nothing in a run that neither names a `--harness` nor has a `Suite` in a test module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from stoker_conformance.collecting import HarnessNode, SuiteFile
from stoker_conformance.suite import Suite

__all__ = ["pytest_addoption", "pytest_collect_file", "pytest_pycollect_makeitem"]

_SUITE_FILE: Final = Path(__file__).with_name("suite.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("stoker-conformance", "the conformance suite of Stoker drivers")
    group.addoption(
        "--harness",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="a Harness to run the cases against, with `--pyargs stoker_conformance`; repeatable",
    )
    group.addoption(
        "--level",
        choices=["fast", "full", "soak"],
        default="fast",
        help="how many repetitions the cases make where luck is involved",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    """Collect the suite of the installed package when a harness is named."""
    if not parent.config.getoption("--harness") or file_path != _SUITE_FILE:
        return None
    return SuiteFile.from_parent(parent, path=file_path)


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: Any
) -> HarnessNode | None:
    """Collect a `Suite` that a test module holds."""
    if not isinstance(obj, Suite):
        return None
    return HarnessNode.of(collector, name, obj)
