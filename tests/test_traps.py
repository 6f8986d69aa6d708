"""The page of traps names cases and tests; each of them has to be there."""

import re
from pathlib import Path

from stoker_conformance.catalog import CASES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "traps.md").read_text()
FOLDERS = ("packages", "conformance-tests", "examples", "tests")


def test_every_case_that_the_page_names_exists() -> None:
    known = {case.id for case in CASES}
    named = set(re.findall(r"\b[A-Z0-9]{2,3}-\d\d\b", PAGE))
    assert named
    assert named - known == set()


def test_every_test_that_the_page_names_exists() -> None:
    sources = (path for folder in FOLDERS for path in (ROOT / folder).rglob("test_*.py"))
    known = {name for path in sources for name in re.findall(r"def (test_\w+)", path.read_text())}
    named = set(re.findall(r"\btest_\w+", PAGE))
    assert named
    assert named - known == set()


def test_every_row_says_what_stands_against_the_trap() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "the trap" not in line]
    assert len(rows) > 50
    assert [row for row in rows if not row.rstrip("| ").count("|") or row.endswith("| |")] == []
