"""One server for all tests of a module, and a schema of its own for each test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

for folder in (Path(__file__).parents[3], Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from tools.servers.postgres import PostgresServer  # noqa: E402

from stoker_postgres import PostgresDriver  # noqa: E402 - the path comes first

Connect = Callable[..., Awaitable[PostgresDriver]]

_numbers = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that the tests of a module may kill and restart."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def schema() -> str:
    """The name of a schema that does not exist yet."""
    return f"stoker_{next(_numbers)}"


@pytest.fixture
async def connect(server: PostgresServer, schema: str) -> AsyncIterator[Connect]:
    """Open another driver of the schema."""
    drivers: list[PostgresDriver] = []

    async def open_another(**options: Any) -> PostgresDriver:
        driver = PostgresDriver(server.url, schema=schema, **options)
        drivers.append(driver)
        await driver.open()
        return driver

    yield open_another
    for driver in drivers:
        await driver.close()


@pytest.fixture
async def driver(connect: Connect) -> PostgresDriver:
    """An open driver."""
    return await connect()


@pytest.fixture
async def raw(server: PostgresServer) -> AsyncIterator[Any]:
    """A user's connection."""
    connection = await asyncpg.connect(server.url)
    yield connection
    await connection.close()
