"""The pytest plugin of the conformance suite.

It does nothing in a run that neither names a `--harness` nor has a `Suite` in a test module.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

from stoker_conformance.bench import Level
from stoker_conformance.catalog import CASES
from stoker_conformance.collecting import CaseItem, HarnessNode, SuiteFile
from stoker_conformance.recording import Recorder
from stoker_conformance.suite import Suite

__all__ = [
    "RECORDER",
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_configure",
    "pytest_pycollect_makeitem",
    "pytest_runtest_makereport",
]

RECORDER: Final = "stoker-conformance-recorder"
"""The name under which pytest has the `Recorder` of the session."""

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
        choices=[str(level) for level in Level],
        default=str(Level.FAST),
        help="how many repetitions the cases make where luck is involved",
    )
    group.addoption(
        "--report",
        type=Path,
        metavar="DIR",
        help="write report.json, report.md and (from level full on) certificate.json there",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Keep what becomes of the cases, and let `-k RES` mean the family and nothing else."""
    if config.getoption("--harness"):
        config.option.keyword = _only_families(config.option.keyword)
    if not hasattr(config, "workerinput"):  # with pytest-xdist only the controller reports
        config.pluginmanager.register(Recorder(config.getoption("--report")), RECORDER)


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a case what the suite has to say of it."""
    report = yield
    if isinstance(item, CaseItem):
        item.record(report, call.excinfo and call.excinfo.value)
    return report


def _only_families(expression: str) -> str:
    """Return `-k` with a dash after the name of each family.

    pytest looks for a word everywhere, also in the name of the harness, in any case: `RES` would
    find all cases of a PostgresHarness.
    """
    families = "|".join(sorted({case.id.partition("-")[0] for case in CASES}))
    return re.sub(rf"(?<![\w-])({families})(?![\w-])", r"\1-", expression)
