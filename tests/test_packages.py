"""What every package of the repository has in common."""

import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = [*sorted(ROOT.glob("packages/*")), ROOT / "conformance-tests"]
DRIVERS = [folder for folder in FOLDERS if folder.name.startswith("driver-")]


def label(folder: Path) -> str:
    """How a test's name calls the folder."""
    return folder.name


def project(folder: Path) -> dict[str, Any]:
    """The `project` table of the package in `folder`."""
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return table


def requirements(table: dict[str, Any]) -> list[str]:
    """All requirements of a package, those of its extras among them."""
    extras = table.get("optional-dependencies", {}).values()
    return [*table.get("dependencies", []), *(item for extra in extras for item in extra)]


def test_there_are_packages() -> None:
    assert {"core", "driver-memory", "driver-sqlite"} <= {folder.name for folder in FOLDERS}


def test_all_packages_have_one_version() -> None:
    versions = {project(folder)["name"]: project(folder)["version"] for folder in FOLDERS}
    assert len(set(versions.values())) == 1, versions


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_packages_require_each_other_within_one_minor_version(folder: Path) -> None:
    table = project(folder)
    major, minor, _ = table["version"].split(".")
    wanted = f">={major}.{minor},<{major}.{int(minor) + 1}"
    ours = [item for item in requirements(table) if re.match(r"stoker\b", item)]
    assert all(item.endswith(wanted) for item in ours), ours
    assert ours or table["name"] == "stoker"


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_a_package_is_complete(folder: Path) -> None:
    (package,) = (folder / "src").glob("stoker*")
    assert (package / "__init__.py").is_file()
    assert (package / "py.typed").is_file()
    assert len((folder / "README.md").read_text().splitlines()) > 5
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_a_package_describes_itself_in_full(folder: Path) -> None:
    table = project(folder)
    assert table["requires-python"] == ">=3.11"
    assert table["license"] == "MIT"
    assert table["readme"] == "README.md"
    assert "Typing :: Typed" in table["classifiers"]
    assert table["description"].endswith(".")


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_the_tools_know_the_package(folder: Path) -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    (package,) = (folder / "src").glob("stoker*")
    assert tools["uv"]["sources"][project(folder)["name"]] == {"workspace": True}
    assert str((folder / "src").relative_to(ROOT)) in tools["mypy"]["mypy_path"]
    assert package.name in tools["importlinter"]["root_packages"]
    assert re.search(
        rf"^TYPED :=.*\b{package.name}\b", (ROOT / "Makefile").read_text(), re.MULTILINE
    )


def test_the_core_offers_an_extra_for_each_driver() -> None:
    core = project(ROOT / "packages/core")
    extras: dict[str, list[str]] = core["optional-dependencies"]
    names = {folder.name.removeprefix("driver-") for folder in DRIVERS}
    assert set(extras) == {*names, "all"}
    assert sorted(item for name in names for item in extras[name]) == sorted(extras["all"])


@pytest.mark.parametrize("folder", DRIVERS, ids=label)
def test_a_driver_is_found_by_its_entry_points(folder: Path) -> None:
    declared = project(folder)["entry-points"]["stoker.drivers"]
    installed = entry_points(group="stoker.drivers")
    for scheme, target in declared.items():
        (entry,) = installed.select(name=scheme)
        assert entry.value == target
        assert isinstance(entry.load(), type)
