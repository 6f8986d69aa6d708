"""What the tests of the examples share: an example as a module, and as a program."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent
OWN_MODULES = {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the examples put into temporary folders goes away with the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Import an example afresh, so that it reads the environment of this test."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for name in OWN_MODULES & sys.modules.keys():
        del sys.modules[name]


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python program; what still runs when the test ends is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str | Path, pass_fds: tuple[int, ...] = (), **environment: str) -> Any:
        process = subprocess.Popen(
            [sys.executable, *(str(argument) for argument in arguments)],
            env={**os.environ, **environment},
            pass_fds=pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        with process:  # waits for it, and closes its pipe
            pass
