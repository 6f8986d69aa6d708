"""The schema as a step of its own: what is missing, applied once, and read beforehand."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stoker.driver import Migrates
from stoker.errors import DriverUnavailable, IncompatibleStore
from stoker_sqlite import SqliteDriver
from stoker_sqlite._sql import migrations

NAMES = [f"{version:04}" for version in range(1, len(migrations()) + 1)]


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_looking_does_not_create_the_file(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    driver = SqliteDriver(path)
    assert isinstance(driver, Migrates)
    assert [step.name for step in await driver.pending_migrations()] == NAMES
    assert files(tmp_path) == []


async def test_an_empty_file_and_one_of_somebody_else_lack_everything(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with closing(sqlite3.connect(tmp_path / "shop.db")) as raw:
        raw.execute("create table orders (id)")
    for name in ("empty.db", "shop.db"):
        driver = SqliteDriver(tmp_path / name)
        assert [step.name for step in await driver.pending_migrations()] == NAMES
        assert [step.name for step in await driver.migrate()] == NAMES
        assert await driver.pending_migrations() == await driver.migrate() == []


async def test_only_what_is_missing_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = SqliteDriver(tmp_path / "jobs.db")
    await driver.open()
    more = (*migrations(), "create table stoker_more (x);")
    monkeypatch.setattr("stoker_sqlite._schema.migrations", lambda: more)
    pending = await driver.pending_migrations()
    assert [step.version for step in pending] == [len(more)]
    assert await driver.migrate() == pending
    await driver.close()


async def test_of_many_that_migrate_at_once_one_does_it(tmp_path: Path) -> None:
    drivers = [SqliteDriver(tmp_path / "jobs.db") for _ in range(6)]
    answers = await asyncio.gather(*(driver.migrate() for driver in drivers))
    assert [[step.name for step in steps] for steps in answers if steps] == [NAMES]


async def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    path.write_text("not a database, but long enough to be mistaken for one" * 9)
    for call in (SqliteDriver(path).pending_migrations, SqliteDriver(path).migrate):
        with pytest.raises(IncompatibleStore, match="not an SQLite database"):
            await call()


async def test_a_file_that_somebody_locks_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_sqlite._schema._OPEN_SECONDS", 0.02)
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("create table orders (id)")
        raw.execute("begin exclusive")
        with pytest.raises(DriverUnavailable, match="is locked"):
            await SqliteDriver(path).migrate()
