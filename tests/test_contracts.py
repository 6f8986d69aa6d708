"""The import contracts of pyproject.toml hold, and each of them fails when it is broken."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

# (contract, module to change, line that breaks it): several where a contract has several sides
BREACHES = [
    ("layers", "stoker/errors.py", "import stoker.job"),
    ("layers", "stoker/driver/__init__.py", "import stoker.testing"),
    ("layers", "stoker/driver/__init__.py", "from stoker import testing"),
    ("layers", "stoker/unplaced.py", "import json"),
    ("no-databases", "stoker/job.py", "def lazily() -> None:\n    import sqlite3"),
    ("no-databases", "stoker/driver/__init__.py", "import stoker_memory"),
    ("no-pytest", "stoker/clock.py", "import pytest"),
    ("seam", "stoker_memory/__init__.py", "import stoker"),
    ("seam", "stoker_sqlite/__init__.py", "from stoker.testing import plugin"),
    ("seam", "stoker_conformance/__init__.py", "import stoker.testing"),
    ("seam", "stoker_postgres/__init__.py", "from stoker.app import App"),
    ("seam", "stoker_redis/__init__.py", "from stoker.worker import Worker"),
    ("drivers-apart", "stoker_sqlite/__init__.py", "import stoker_memory"),
    ("drivers-apart", "stoker_postgres/__init__.py", "import stoker_sqlite"),
    ("drivers-apart", "stoker_redis/__init__.py", "import stoker_postgres"),
    ("suite-neutral", "stoker_conformance/__init__.py", "import stoker_sqlite"),
    ("suite-neutral", "stoker_cli/__init__.py", "import stoker_memory"),
]


def lint(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter with our configuration on the packages in `folder`."""
    return subprocess.run(
        [LINT_IMPORTS, "--no-logo", "--no-cache", "--config", ROOT / "pyproject.toml", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """All packages side by side in a folder that may be spoiled."""
    for source in [*ROOT.glob("packages/*/src/*"), *ROOT.glob("conformance-tests/src/*")]:
        shutil.copytree(
            source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return tmp_path


def test_contracts_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("contract", "module", "line"), BREACHES)
def test_a_broken_contract_fails(copy: Path, contract: str, module: str, line: str) -> None:
    path = copy / module
    text = path.read_text() if path.exists() else ""
    path.write_text(f"{text}\n\n{line}\n")

    done = lint(copy, "--contract", contract)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "0 kept, 1 broken" in done.stdout


def test_each_contract_is_seen_to_fail() -> None:
    declared = {contract["id"] for contract in CONFIG["contracts"]}
    assert declared == {contract for contract, _, _ in BREACHES}


def test_each_package_is_linted() -> None:
    packages = [*ROOT.glob("packages/*/src/*"), *ROOT.glob("conformance-tests/src/*")]
    assert set(CONFIG["root_packages"]) == {path.name for path in packages if path.is_dir()}
