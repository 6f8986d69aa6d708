"""The command, as an author meets it: in a folder with one file and settings of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stoker_conformance import CLAUSES
from stoker_conformance.catalog import CASES
from stoker_conformance.cli import main
from stoker_conformance.cli._contract import contract_page

ROOT = Path(__file__).resolve().parents[2]

AUTHORS_FILE = """
from stoker.driver import Settled, SettleStatus
from stoker_conformance import Deviation, Harness
from stoker_memory import MemoryDriver


class Broken(MemoryDriver):
    async def settle(self, items, *, now=None):
        print("settling without a look")
        await super().settle(items, now=now)
        return [Settled(SettleStatus.APPLIED) for _ in items]


class Good(Harness[str]):
    driver, number = MemoryDriver, 0

    async def namespace(self):
        self.number += 1
        return f"{type(self).__name__}-{self.number}"

    async def connect(self, namespace):
        return self.driver(f"memory://{namespace}")

    async def footprint(self, namespace):
        return 0


class Bad(Good):
    driver = Broken


class Honest(Bad):
    deviations = {"FNC-08": Deviation("settle does not look at the record", "issue 7")}


class Outdated(Good):
    deviations = Honest.deviations


class NoServer(Good):
    async def setup(self):
        raise OSError("no server here")


class Untidy(Good):
    async def discard(self, namespace):
        if self.number > 1:
            raise OSError("the folder is busy")
"""

HOSTILE = {
    "pytest.ini": "[pytest]\naddopts = -n 4 --no-such-option\nfilterwarnings = error\n",
    "conftest.py": "raise RuntimeError('about other tests')",
    "test_other.py": "def test_other(): assert False",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An author's folder."""
    for name, text in {**HOSTILE, "mine.py": AUTHORS_FILE}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_ADDOPTS": "--no-such-option", "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [sys.executable, "-m", "stoker_conformance", "run", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def report(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "out/report.json").read_text())
    return content


def case(folder: Path, case_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in report(folder)["cases"] if one["id"] == case_id)
    return found


def test_a_red_case_says_all_that_an_author_needs(folder: Path) -> None:
    done = run(folder, "mine:Bad", "-k", "FNC-08", "--out", "out")

    assert done.returncode == 1
    for wanted in (
        "FNC-08  failed          Every settlement and an extend of a job",
        "Complete\n  expected: (GONE, None)",
        "  seen:     (APPLIED, None)",
        "How to fix: A token without a record is GONE",
        "The contract says:\n  A token without a record is GONE. (token.unknown)",
        "Run it again: stoker-conformance run mine:Bad -k FNC-08",
        "families/fencing.py:",
        "settling without a look",
        "memory 0.1.0: failure at level fast",
        "report: out/report.md",
    ):
        assert wanted in done.stdout
    assert report(folder)["result"] == "failure"
    assert case(folder, "FNC-08")["location"].startswith("stoker_conformance/families/fencing.py:")


def test_cases_that_were_not_run_make_it_partial(folder: Path) -> None:
    done = run(folder, "mine:Good", "-k", "FNC-08 or TXN-01", "--out", "out")
    assert done.returncode == 1
    assert "partial at level fast (1 passed, 1 not required, " in done.stdout
    assert report(folder)["counts"]["not_run"] == len(CASES) - 2


def test_a_family_is_not_looked_for_in_the_name_of_the_harness(folder: Path) -> None:
    (folder / "prs_mine.py").write_text("from mine import Good as PRSHarness")
    done = run(folder, "prs_mine:PRSHarness", "-k", "PRS", "--out", "out")
    outcomes = {one["id"][:3] for one in report(folder)["cases"] if one["outcome"] != "not_run"}
    assert outcomes == {"PRS"}, done.stdout


def test_it_stops_at_the_first_red_case_if_asked(folder: Path) -> None:
    done = run(folder, "mine:Bad", "-x", "-k", "FNC", "--out", "out")
    assert report(folder)["counts"]["failed"] == 1, done.stdout


def test_a_declared_deviation_is_no_failure(folder: Path) -> None:
    done = run(folder, "mine:Honest", "-k", "FNC-08", "--out", "out")
    assert "deviation FNC-08: settle does not look at the record (issue 7)" in done.stdout
    assert (done.returncode, report(folder)["result"]) == (1, "partial")
    assert case(folder, "FNC-08")["deviation"]["link"] == "issue 7"


def test_a_deviation_that_is_none_any_more_is_a_failure(folder: Path) -> None:
    done = run(folder, "mine:Outdated", "-k", "FNC-08", "--out", "out")
    assert (done.returncode, report(folder)["result"]) == (1, "failure")
    assert "take FNC-08 out of `deviations`" in done.stdout


def test_what_the_harness_breaks_is_an_error_and_no_failure(folder: Path) -> None:
    done = run(folder, "mine:Untidy", "-k", "FNC-08", "--out", "out")
    assert done.returncode == 1
    assert case(folder, "FNC-08")["outcome"] == "error"
    assert "OSError: the folder is busy" in done.stdout
    assert "How to fix: Repair the harness" in done.stdout


@pytest.mark.parametrize(
    ("reference", "advice"),
    [
        ("nowhere:Good", "Error: there is no module nowhere: run the command in the folder of its"),
        ("mine:NoServer", "`setup` of the harness failed: OSError: no server here"),
    ],
)
def test_what_cannot_be_run_says_what_to_do(folder: Path, reference: str, advice: str) -> None:
    done = run(folder, reference, "-k", "FNC-08")
    assert done.returncode == 2, done.stdout
    assert advice in done.stderr
    assert "Traceback" not in done.stderr


def test_a_case_that_does_not_exist_says_where_they_are_listed(folder: Path) -> None:
    done = run(folder, "mine:Good", "-k", "FNC-99")
    assert done.returncode == 2
    assert "stoker-conformance cases" in done.stderr


def test_pytest_writes_the_same_report(folder: Path) -> None:
    run(folder, "mine:Bad", "-k", "FNC", "--out", "out")
    by_command = report(folder)
    options = ["--harness", "mine:Bad", "--report", "out", "-k", "FNC", "-p", "no:cacheprovider"]
    command = ["pytest", "-c", os.devnull, "--noconftest", "--pyargs", "stoker_conformance"]
    done = subprocess.run(
        [sys.executable, "-m", *command, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "mine:Bad: failure at level fast" in done.stdout
    for content in (by_command, by_pytest := report(folder)):
        del content["started"], content["seconds"]
        for one in content["cases"]:
            del one["seconds"]
    assert by_pytest == by_command


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_cases_and_clauses_are_listed() -> None:
    listed = json.loads(invoke("cases", "--json").output)
    assert [one["id"] for one in listed] == [case.id for case in CASES]
    clauses = json.loads(invoke("clauses", "--json").output)
    assert [one["id"] for one in clauses] == [clause.id for clause in CLAUSES]
    assert all(one["cases"] for one in clauses)
    assert len(invoke("cases").output.splitlines()) == len(CASES)


def test_one_case_is_shown() -> None:
    output = invoke("show", "lse-01").output
    for wanted in ("LSE-01  A job is held", "(lease.held)", "If it is red: ", "leases.py:"):
        assert wanted in output
    wrong = invoke("show", "LSE-99")
    assert wrong.exit_code == 2
    assert "there is no case LSE-99" in wrong.output


def test_a_matrix_wants_certificates(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("{}")
    done = invoke("matrix", str(path))
    assert done.exit_code == 2
    assert "is not a certificate" in done.output


def test_the_page_of_clauses_is_up_to_date() -> None:
    page = ROOT / "docs/conformance/clauses.md"
    assert page.read_text() == contract_page(), "run `make docs-conformance`"
