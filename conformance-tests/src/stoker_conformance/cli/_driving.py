"""Driving pytest in this process, independently of what the current folder holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from stoker_conformance.plugin import RECORDER
from stoker_conformance.recording import Recorder
from stoker_conformance.report import Report

__all__ = ["Order", "drive"]

_HERE: Final = Path(__file__).parent
_SUITE: Final = _HERE.with_name("suite.py")

# Options of the user's own tests do not concern this run, nor do plugins that are installed for
# them: one that shuffles or repeats tests, or watches the event loop, would change what is found.
_ENVIRONMENT: Final = {
    "PYTEST_ADDOPTS": None,
    "PYTEST_PLUGINS": None,
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run."""

    reference: str
    level: str
    keyword: str
    """Of the cases to run, as `-k` of pytest takes it; empty: all."""
    stop_at_red: bool
    folder: Path | None
    """Where the report goes."""


class _Watcher:
    """Gets hold of the session's recorder."""

    recorder: Recorder | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Find the recorder, which the plugin of the suite has registered."""
        self.recorder = session.config.pluginmanager.get_plugin(RECORDER)


def drive(order: Order, *listeners: object) -> tuple[Report | None, int]:
    """Run the cases.

    Args:
        order: what is to be run.
        listeners: pytest plugins that show how it goes.

    Returns:
        The report, `None` if no case ran, and pytest's exit code.
    """
    watcher = _Watcher()
    arguments = ["-p", "stoker_conformance.plugin", "-p", "no:cacheprovider", "-p", "no:terminal"]
    arguments += ["-c", str(_HERE / "pytest.ini"), "--rootdir", str(_SUITE.parent), "--noconftest"]
    arguments += ["--harness", order.reference, "--level", order.level]
    arguments += ["-k", order.keyword] if order.keyword else []
    arguments += ["-x"] if order.stop_at_red else []
    arguments += ["--report", str(order.folder)] if order.folder else []
    with _environment():
        code = pytest.main([*arguments, str(_SUITE)], plugins=[watcher, *listeners])
    reports = watcher.recorder.reports if watcher.recorder else []
    return (reports[0] if reports else None), int(code)


@contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    _set(_ENVIRONMENT)
    try:
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
