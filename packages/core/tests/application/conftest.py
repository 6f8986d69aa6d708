"""Fixtures: every test that takes `store` runs once for every installed driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from packages.core.tests.application.faults import Faulty
from packages.core.tests.application.stores import Servers, Store, fresh_store, kinds

from stoker.driver import Capability, Scope
from stoker.registry import driver_for
from stoker.testing import ManualClock


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of all tests; they are stopped after the last."""
    with Servers() as servers:
        yield servers


@pytest.fixture(params=kinds())
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Servers
) -> AsyncIterator[Store]:
    """A store that no other test uses."""
    async with fresh_store(request.param, tmp_path, servers) as made:
        yield made


@pytest.fixture(params=kinds(Capability.TRANSACTIONAL))
async def sql_store(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Servers
) -> AsyncIterator[Store]:
    """The same, where the user's own transactions can be joined; with a table `effects`."""
    async with fresh_store(request.param, tmp_path, servers) as made:
        # The driver makes the store; the user's tables come beside.
        driver = driver_for(made.url)
        await driver.open()
        await driver.close()
        async with made.connect() as connection:
            await connection.execute("create table effects (what text not null)")
        yield made


@pytest.fixture(params=kinds(scopes={Scope.HOST, Scope.NETWORK}))
async def shared_store(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Servers
) -> AsyncIterator[Store]:
    """The same, where several processes can meet."""
    async with fresh_store(request.param, tmp_path, servers) as made:
        yield made


@pytest.fixture(params=kinds(scopes={Scope.NETWORK}))
async def remote_store(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Servers
) -> AsyncIterator[Store]:
    """The same, where there is a network in between."""
    async with fresh_store(request.param, tmp_path, servers) as made:
        yield made


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture
def faulty(store: Store) -> Faulty:
    """The store's driver, with faults to be set."""
    return Faulty(driver_for(store.url))
