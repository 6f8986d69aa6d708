"""Drivers that are open, each on a store of its own."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stoker_memory import MemoryDriver

sys.path.insert(0, str(Path(__file__).parent))  # for the module beside this one


@pytest.fixture
async def driver() -> AsyncIterator[MemoryDriver]:
    driver = MemoryDriver()
    await driver.open()
    yield driver
    await driver.close()
