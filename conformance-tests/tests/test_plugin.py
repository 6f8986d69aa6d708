"""The plugin, as an author meets it: on the command line, in a folder with one file."""

import subprocess
import sys
from pathlib import Path

import pytest

AUTHORS_FILE = """
from pathlib import Path
from stoker.driver import Changed, ChangeStatus, Settled, SettleStatus
from stoker_conformance import Harness, Suite
from stoker_memory import MemoryDriver


class Broken(MemoryDriver):
    async def settle(self, items, *, now=None):
        await super().settle(items, now=now)
        return [Settled(SettleStatus.APPLIED) for _ in items]


def log(text):
    with Path("log").open("a") as file:
        print(text, file=file)


class Good(Harness[str]):
    driver, number = MemoryDriver, 0

    async def setup(self): log("setup")
    async def teardown(self): log("teardown")
    async def discard(self, namespace): log("discard")

    async def namespace(self):
        log("namespace")
        self.number += 1
        return f"{type(self).__name__}-{self.number}"

    async def connect(self, namespace):
        log("connect")
        return self.driver(f"memory://{namespace}")

    async def footprint(self, namespace):
        return 0


class Bad(Good):
    driver = Broken


class NoServer(Good):
    async def setup(self):
        raise OSError("no server here")
"""

SUITE = ["--pyargs", "stoker_conformance"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "mine.py").write_text(AUTHORS_FILE)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def log_of(folder: Path) -> list[str]:
    return (folder / "log").read_text().split()


def test_a_red_case_says_what_an_author_needs(tmp_path: Path) -> None:
    done = run(tmp_path, *SUITE, "--harness", "mine:Bad", "-k", "FNC-08")

    assert done.returncode == 1
    for expected in (
        "FNC-08  Every settlement and an extend of a job that does not exist answer GONE.",
        "Complete\n  expected: (GONE, None)",
        "  seen:     (APPLIED, None)",
        "How to fix: A token without a record is GONE; that is an answer, not an error.",
        "The contract says:\n  A token without a record is GONE. (token.unknown)",
        "Run it again: stoker-conformance run mine:Bad -k FNC-08",
        "families/fencing.py:",
    ):
        assert expected in done.stdout


def test_a_harness_that_cannot_be_set_up_is_an_error_of_each_case(tmp_path: Path) -> None:
    done = run(tmp_path, *SUITE, "--harness", "mine:NoServer", "-k", "FNC-08 or FNC-01")
    assert "2 errors" in done.stdout
    assert "no server here" in done.stdout


def test_the_harness_lives_as_long_as_its_cases(tmp_path: Path) -> None:
    done = run(tmp_path, *SUITE, "--harness", "mine:Good", "-k", "FNC-08 or CLM-06")

    assert done.returncode == 0, done.stdout
    case = ["namespace", "connect", "connect", "discard"]
    first_look = ["namespace", "connect", "discard"]
    assert log_of(tmp_path) == ["setup", *first_look, *case, *case, "teardown"]


def test_several_harnesses_run_in_one_session(tmp_path: Path) -> None:
    done = run(tmp_path, *SUITE, "--harness", "mine:Good", "--harness", "mine:Bad", "-k", "FNC-08")
    assert "1 failed, 1 passed" in done.stdout
    assert log_of(tmp_path).count("setup") == 2


def test_the_level_decides_how_much_is_tried(tmp_path: Path) -> None:
    clients = {}
    for level in ("fast", "full"):
        options = ["--harness", "mine:Good", "--level", level, "-k", "CLM-04 or TXN-01", "-rs"]
        done = run(tmp_path, *SUITE, *options)
        assert "memory does not declare transactional" in done.stdout  # a skip with its reason
        clients[level] = log_of(tmp_path).count("connect")
        (tmp_path / "log").unlink()
    assert clients["full"] > clients["fast"] > 0


def test_a_suite_in_a_test_module_is_collected(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "from mine import *\n\nconformance = Suite(Good)\n\ndef test_of_its_own(): pass\n"
    )
    done = run(tmp_path, "-vv", "-k", "FNC-08 or own")
    assert "test_mine.py::conformance::FNC-08 PASSED" in done.stdout
    assert "test_mine.py::test_of_its_own PASSED" in done.stdout


def test_cases_that_are_left_out_are_skipped_with_the_reason(tmp_path: Path) -> None:
    suite = "from mine import Good, Suite\nsuite = Suite(Good, without={'SHP-01': 'no network'})\n"
    (tmp_path / "test_mine.py").write_text(suite)
    done = run(tmp_path, "test_mine.py", "-k", "SHP", "-rs")
    assert done.returncode == 0, done.stdout
    assert "left out: no network" in done.stdout
    assert "suite: partial at level fast" in done.stdout


def test_a_case_that_does_not_exist_cannot_be_left_out(tmp_path: Path) -> None:
    suite = "from mine import Good, Suite\nsuite = Suite(Good, without={'SHP-99': 'no such'})\n"
    (tmp_path / "test_mine.py").write_text(suite)
    done = run(tmp_path, "test_mine.py")
    assert done.returncode != 0
    assert "`without` names cases that do not exist: SHP-99" in done.stdout


def test_without_a_harness_nothing_is_collected(tmp_path: Path) -> None:
    done = run(tmp_path, *SUITE)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout


@pytest.mark.parametrize("reference", ["nowhere:Good", "mine:Nothing", "mine:Broken"])
def test_a_wrong_reference_is_a_usage_error(tmp_path: Path, reference: str) -> None:
    done = run(tmp_path, *SUITE, "--harness", reference)
    assert f"--harness {reference}: " in done.stdout + done.stderr
    assert done.returncode in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)
