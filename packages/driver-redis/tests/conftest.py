"""One server for all tests of a module, and a prefix of its own for each test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

for folder in (Path(__file__).parents[3], Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from redis.asyncio import Redis  # noqa: E402
from tools.servers.valkey import ValkeyServer  # noqa: E402

from stoker_redis import RedisDriver  # noqa: E402 - the path comes first

Connect = Callable[..., Awaitable[RedisDriver]]

_numbers = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """A server that the tests of a module may kill and restart."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def prefix() -> str:
    """A prefix that nothing uses yet."""
    return f"test-{next(_numbers)}"


@pytest.fixture
async def connect(server: ValkeyServer, prefix: str) -> AsyncIterator[Connect]:
    """Open another driver with the same prefix."""
    drivers: list[RedisDriver] = []

    async def open_another(where: Any = server.url, **options: Any) -> RedisDriver:
        driver = RedisDriver(where, prefix=prefix, **options)
        drivers.append(driver)
        await driver.open()
        return driver

    yield open_another
    for driver in drivers:
        await driver.close()


@pytest.fixture
async def driver(connect: Connect) -> RedisDriver:
    """An open driver."""
    return await connect()


@pytest.fixture
async def raw(server: ValkeyServer) -> AsyncIterator[Redis]:
    """A user's client."""
    async with Redis(port=server.port, decode_responses=True) as client:
        yield client


@pytest.fixture
def settings(server: ValkeyServer) -> Iterator[Callable[[str, str], None]]:
    """Change settings of the server, for the length of a test."""
    before: dict[str, str] = {}

    def change(name: str, value: str) -> None:
        [_, was] = server.ask("CONFIG", "GET", name)
        before.setdefault(name, was)
        server.ask("CONFIG", "SET", name, value)

    yield change
    for name, value in before.items():
        server.ask("CONFIG", "SET", name, value)
