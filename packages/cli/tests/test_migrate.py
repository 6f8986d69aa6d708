"""`stoker migrate`: what it applies, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Invoke = Callable[..., Result]

APPS = Path(__file__).parent / "apps"


def tables(path: Path) -> list[str]:
    """Return the names of all tables of a file."""
    with closing(sqlite3.connect(path)) as raw:
        return [name for (name,) in raw.execute("select name from sqlite_schema order by name")]


def test_a_store_is_migrated_once_and_then_it_is_up_to_date(invoke: Invoke, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    first, second = invoke("migrate", url), invoke("migrate", url)
    assert (first.exit_code, first.stdout) == (0, "applied 0001\n")
    assert (second.exit_code, second.stdout) == (0, "the schema is up to date\n")


def test_a_dry_run_prints_a_script_and_changes_nothing(invoke: Invoke, tmp_path: Path) -> None:
    by_hand, by_command = tmp_path / "by_hand.db", tmp_path / "by_command.db"
    dry = invoke("migrate", f"sqlite:///{by_hand}", "--dry-run")
    assert (dry.exit_code, dry.stderr) == (0, "to be applied: 0001\n")
    assert not by_hand.exists()
    with closing(sqlite3.connect(by_hand)) as raw:
        raw.executescript(dry.stdout)
    invoke("migrate", f"sqlite:///{by_command}")
    assert tables(by_hand) == tables(by_command)
    again = invoke("migrate", f"sqlite:///{by_hand}", "--dry-run")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "", "the schema is up to date\n")


def test_the_store_of_an_application_is_migrated(
    invoke: Invoke, sample: Any, tmp_path: Path
) -> None:
    assert invoke("migrate", "sample:app", "--app-dir", APPS).stdout == "applied 0001\n"
    assert "stoker_jobs" in tables(tmp_path / "jobs.db")

    async def use() -> None:
        async with sample.app as app:
            await app.schedule(sample.note, 1)

    asyncio.run(use())


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_store_without_a_schema_has_nothing_to_migrate(
    invoke: Invoke, options: list[str]
) -> None:
    result = invoke("migrate", "memory://", *options)
    assert result.exit_code == 0
    message = "the driver memory has no schema to migrate\n"
    assert (result.stdout, result.stderr) == (("", message) if options else (message, ""))


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("sqlite:////absent/x.db", "/absent does not exist"),
        ("oracle://joe:secret@host/x", "oracle://joe:***@host/x: no installed driver answers"),
        ("sample:absent", "has no 'absent'"),
    ],
)
def test_a_wrong_target_is_one_clear_line(
    invoke: Invoke, target: str, message: str, options: list[str]
) -> None:
    result = invoke("migrate", target, "--app-dir", APPS, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_newer_store_is_refused(invoke: Invoke, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    invoke("migrate", url)
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as raw:
        raw.execute("update stoker_schema set version = 99")
        raw.commit()
    result = invoke("migrate", url, "--dry-run")
    assert result.exit_code == 2
    assert "has version 99" in result.stderr
    assert "upgrade stoker-sqlite" in result.stderr
