"""`support.py` is imported by its full name, from the root of the repository."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from packages.core.tests.support import SpyDriver

from stoker.testing import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def driver() -> AsyncIterator[SpyDriver]:
    """A driver that counts its calls and can be told to fail, not yet open."""
    spy = SpyDriver()
    yield spy
    await spy.close()
