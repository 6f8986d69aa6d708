"""The package that `init` writes: clean, complete, and honest about what is missing."""

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stoker.driver import Driver
from stoker_conformance.cli import main
from stoker_conformance.cli._scaffold import BadName, Names

# One name that is as long as a name may be: a line that is wrapped only then is not formatted.
NAMES = {"lmdb": "Lmdb", "a-store-with-a-really-long-nam": "AStoreWithAReallyLongNam"}


def init(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


@pytest.fixture(params=NAMES)
def names(request: pytest.FixtureRequest) -> Names:
    """What a driver is called."""
    return Names.of(request.param)


@pytest.fixture
def package(names: Names, tmp_path: Path) -> Path:
    """A new package."""
    done = init(names.scheme, str(tmp_path / "new"))
    assert done.exit_code == 0, done.output
    return tmp_path / "new"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in the package, with its sources on the path."""
    sources = str(folder / "src")
    environment = {**os.environ, "PYTHONPATH": sources, "MYPYPATH": sources}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_it_is_formatted_and_clean(package: Path) -> None:
    pytest.importorskip("ruff")
    for command in (["check"], ["format", "--check"]):
        done = run(package, "ruff", *command, "--no-cache", ".")
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_types_are_strict(package: Path) -> None:
    pytest.importorskip("mypy")
    done = run(package, "mypy", "--cache-dir", os.devnull)
    assert done.returncode == 0, done.stdout


def test_it_says_where_its_driver_is(package: Path, names: Names) -> None:
    project = tomllib.loads((package / "pyproject.toml").read_text())
    table = project["project"]
    assert table["name"] == names.project
    assert table["entry-points"]["stoker.drivers"] == {
        names.scheme: f"{names.package}:{names.cls}Driver"
    }
    assert [item.partition(">=")[0] for item in table["dependencies"]] == ["stoker"]
    workflow = (package / ".github/workflows/test.yml").read_text()
    assert f"{names.package}.conformance:{names.cls}Harness" in workflow


def test_it_builds(package: Path, names: Names) -> None:
    pytest.importorskip("hatchling")
    done = run(package, "hatchling", "build", "--target", "wheel")
    assert done.returncode == 0, done.stderr
    [wheel] = (package / "dist").glob(f"{names.package}-0.1.0-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
    wanted = {f"{names.package}/{name}" for name in ("_driver.py", "conformance.py", "py.typed")}
    assert wanted <= set(files)


def test_nothing_is_left_to_be_filled_in(package: Path) -> None:
    for path in package.rglob("*"):
        if path.is_file():
            assert not re.search("@[a-z]+@", path.read_text()), path


def test_the_first_run_says_what_to_write_next(tmp_path: Path) -> None:
    names = Names.of("paper")
    assert init("paper", str(tmp_path)).exit_code == 0
    reference = f"{names.package}.conformance:{names.cls}Harness"
    done = run(tmp_path, "stoker_conformance", "run", reference, "--out", "out")

    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((tmp_path / "out/report.json").read_text())
    outcomes = {case["id"]: case["outcome"] for case in report["cases"]}
    assert report["result"] == "failure"
    assert report["driver"]["name"] == "paper"
    assert outcomes["SHP-01"] == outcomes["SHP-02"] == "passed"
    assert outcomes["ENQ-01"] == "failed"
    steps = done.stdout.partition("What to do next, in this order:\n")[2].splitlines()
    assert "enqueue is not written yet" in steps[0]
    assert "claim is not written yet" in steps[1]


def test_it_has_every_operation_with_its_signature_and_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert init("paper-two", str(tmp_path)).exit_code == 0
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    skeleton = importlib.import_module("stoker_paper_two").PaperTwoDriver
    for name, operation in inspect.getmembers(Driver, inspect.isfunction):
        if not name.startswith("_"):
            mine = getattr(skeleton, name)
            assert inspect.getdoc(mine), name
            wanted = list(inspect.signature(operation).parameters.values())
            seen = list(inspect.signature(mine).parameters.values())
            assert [(p.name, p.kind) for p in seen] == [(p.name, p.kind) for p in wanted], name


@pytest.mark.parametrize("name", ["LMDB", "stoker-lmdb", "stoker_lmdb", "lmdb"])
def test_a_name_may_be_written_in_many_ways(name: str) -> None:
    assert Names.of(name) == Names("lmdb", "stoker-lmdb", "stoker_lmdb", "Lmdb")


@pytest.mark.parametrize("name", ["", "7up", "a--b", "a/b", "über", "sqlite", "x" * 31])
def test_a_name_that_no_package_can_have_is_refused(name: str) -> None:
    with pytest.raises(BadName):
        Names.of(name)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    done = init("lmdb", str(tmp_path))
    assert done.exit_code == 2
    assert "is not empty" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
