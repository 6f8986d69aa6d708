"""`tools/version.py` changes all packages together."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tool, and the files that it changes."""
    for path in [
        *ROOT.glob("packages/*/pyproject.toml"),
        *ROOT.glob("examples/*/pyproject.toml"),
        ROOT / "conformance-tests/pyproject.toml",
    ]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True)
        shutil.copy(path, target)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/version.py", tmp_path / "tools")
    return tmp_path


def version(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the tool."""
    return subprocess.run(
        [sys.executable, folder / "tools/version.py", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_sets_versions_and_ranges(copy: Path) -> None:
    done = version(copy, "3.14.15")

    assert (done.returncode, done.stdout) == (0, "3.14.15\n")
    for path in copy.glob("*/*/pyproject.toml"):
        project = tomllib.loads(path.read_text())["project"]
        assert project["version"] == "3.14.15"
        for requirement in project["dependencies"]:
            assert not requirement.startswith("stoker") or requirement == "stoker>=3.14,<3.15"
    core = tomllib.loads((copy / "packages/core/pyproject.toml").read_text())["project"]
    assert core["optional-dependencies"]["sqlite"] == ["stoker-sqlite>=3.14,<3.15"]


def test_changes_nothing_else(copy: Path) -> None:
    now = version(copy).stdout.strip()
    version(copy, "3.14.15")
    version(copy, now)
    for path in copy.glob("*/*/pyproject.toml"):
        assert path.read_text() == (ROOT / path.relative_to(copy)).read_text()


@pytest.mark.parametrize("text", ["1.2", "v1.2.3", "1.2.3rc1", ""])
def test_refuses_what_is_no_version(copy: Path, text: str) -> None:
    assert version(copy, text).returncode != 0


def test_notices_packages_out_of_step(copy: Path) -> None:
    path = copy / "packages/cli/pyproject.toml"
    path.write_text(path.read_text().replace('\nversion = "', '\nversion = "9'))
    done = version(copy)
    assert done.returncode != 0
    assert "lockstep" in done.stderr
