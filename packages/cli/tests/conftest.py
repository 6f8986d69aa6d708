"""What the tests of the command share: running it in here, and in a process of its own."""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from click.testing import CliRunner, Result

from stoker_cli import main

APPS = Path(__file__).parent / "apps"

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """Run the command in this process; what it imports and sets up is undone afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    yield run
    for name in set(sys.modules) - modules:
        path = getattr(sys.modules[name], "__file__", None) or ""
        if not path.startswith(sys.prefix):
            del sys.modules[name]
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    logging.getLogger("stoker").setLevel(logging.NOTSET)


class Process:
    """`stoker ...` in a process of its own.

    Reading waits for the next line, and for the end of the process at the latest; the time limit
    of the test is the bound of all waits.
    """

    def __init__(self, command: list[str], folder: Path, cwd: Path) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "SAMPLE_FOLDER": str(folder), "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until_prints(self, text: str) -> str:
        """Read stdout up to the first line that holds `text`."""
        return self._until(self._process.stdout, text)

    def until_logs(self, text: str) -> str:
        """Read stderr up to the first line that holds `text`."""
        return self._until(self._process.stderr, text)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit code and what was left of stdout and stderr."""
        printed, logged = self._process.communicate(timeout=60)
        return self._process.returncode, printed, logged

    def end_by(self, number: signal.Signals) -> int:
        """Send a signal again and again until the process has ended; return its exit code.

        While a handler blocks everything, nothing tells when the first one has been noticed.
        """
        while True:
            self.send(number)
            try:
                return self._process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue

    def kill(self) -> None:
        """End it as a power failure would."""
        self._process.kill()
        self._process.communicate()

    def _until(self, stream: IO[str] | None, text: str) -> str:
        assert stream is not None
        read = []
        for line in stream:
            read.append(line)
            if text in line:
                return line
        rest = "" if stream is self._process.stderr else self.end()[2]
        raise AssertionError(f"{text!r} did not come:\n{''.join(read)}{rest}")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start `stoker` with some arguments; what still runs when the test ends is killed."""
    started: list[Process] = []

    def run(
        *arguments: str | Path, command: tuple[str, ...] = ("-m", "stoker_cli"), cwd: Path = APPS
    ) -> Process:
        whole = [sys.executable, *command, *(str(argument) for argument in arguments)]
        process = Process(whole, tmp_path, cwd)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module `sample` in this process, on the same store as the processes that are started."""
    monkeypatch.setenv("SAMPLE_FOLDER", str(tmp_path))
    monkeypatch.syspath_prepend(str(APPS))
    yield importlib.import_module("sample")
    del sys.modules["sample"]


@pytest.fixture
def json_lines() -> Callable[[str], list[dict[str, Any]]]:
    """A function that reads one JSON object a line."""
    return lambda text: [json.loads(line) for line in text.splitlines()]
