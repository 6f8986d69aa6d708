"""A file of its own for each test, and drivers that are closed after it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from stoker_sqlite import SqliteDriver

sys.path.insert(0, str(Path(__file__).parent))  # for the module beside this one

Connect = Callable[[], Awaitable[SqliteDriver]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that does not exist yet."""
    return tmp_path / "jobs.db"


@pytest.fixture
async def connect(path: Path) -> AsyncIterator[Connect]:
    """Open another driver of the file."""
    drivers: list[SqliteDriver] = []

    async def open_another() -> SqliteDriver:
        driver = SqliteDriver(path)
        await driver.open()
        drivers.append(driver)
        return driver

    yield open_another
    for driver in drivers:
        await driver.close()


@pytest.fixture
async def driver(connect: Connect) -> SqliteDriver:
    """An open driver."""
    return await connect()
