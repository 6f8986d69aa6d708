"""Good calls are accepted and bad ones refused, by mypy --strict and by pyright."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "typing"
ROOT = Path(__file__).parents[3]
NAMES = ("good_calls.py", "bad_calls.py")
MARK = re.compile(r"# E: ([a-z, ]+)$")
IGNORED = "# mypy: ignore-errors\n"

Flagged = dict[str, set[int]]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files as the checkers get them: nothing ignored, and the lines where they were."""
    folder = tmp_path_factory.mktemp("typing")
    for name in NAMES:
        text = (HERE / name).read_text()
        (folder / name).write_text(text.replace(IGNORED, "#\n", 1))
    return folder


def marked(name: str, checker: str) -> set[int]:
    """The lines that a checker is to flag."""
    return {
        number
        for number, line in enumerate((HERE / name).read_text().splitlines(), start=1)
        if (mark := MARK.search(line)) and checker in mark[1].split(", ")
    }


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy(folder: Path) -> Flagged:
    flagged: Flagged = {name: set() for name in NAMES}
    output = run(
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--hide-error-context",
        *(str(folder / name) for name in NAMES),
    )
    for line in output.splitlines():
        found = re.match(r"(?:.*[/\\])?(\w+\.py):(\d+): error: ", line)
        if found:
            flagged[found[1]].add(int(found[2]))
    return flagged


def pyright(folder: Path) -> Flagged:
    flagged: Flagged = {name: set() for name in NAMES}
    output = run(
        sys.executable,
        "-m",
        "pyright",
        "--outputjson",
        "--pythonpath",
        sys.executable,
        *(str(folder / name) for name in NAMES),
    )
    for found in json.loads(output)["generalDiagnostics"]:
        if found["severity"] == "error":
            name = Path(found["file"]).name
            flagged[name].add(found["range"]["start"]["line"] + 1)
    return flagged


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_exactly_the_marked_lines_are_flagged(
    checker: Callable[[Path], Flagged], copies: Path
) -> None:
    flagged = checker(copies)
    for name in NAMES:
        expected = marked(name, checker.__name__)
        assert {"missed": expected - flagged[name], "not marked": flagged[name] - expected} == {
            "missed": set(),
            "not marked": set(),
        }, name


def test_there_are_many_bad_calls_and_no_marks_among_the_good_ones() -> None:
    assert len(marked("bad_calls.py", "mypy")) >= 25
    assert len(marked("bad_calls.py", "pyright")) >= 25
    assert not marked("good_calls.py", "mypy") | marked("good_calls.py", "pyright")


def test_the_good_calls_can_be_imported() -> None:
    source = (HERE / "good_calls.py").read_text()
    exec(compile(source, "good_calls.py", "exec"), {"__name__": "good_calls"})
