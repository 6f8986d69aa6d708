"""Drivers that are open, each on a store of its own."""

from collections.abc import AsyncIterator

import pytest

from stoker_memory import MemoryDriver


@pytest.fixture
async def driver() -> AsyncIterator[MemoryDriver]:
    driver = MemoryDriver()
    await driver.open()
    yield driver
    await driver.close()
