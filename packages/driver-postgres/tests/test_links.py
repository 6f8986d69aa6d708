"""A network that cuts connections or falls silent, and statements that take too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tools.servers.postgres import PostgresServer

from stoker.driver import JobKey, NewJob, Wake
from stoker.errors import DriverUnavailable
from stoker_conformance.faults import FaultProxy, LinkFault
from stoker_postgres import PostgresDriver

KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b")
HOUR = timedelta(hours=1)
EVERYTHING = Wake.WORK | Wake.CANCEL

Through = Callable[..., Awaitable[PostgresDriver]]


@pytest.fixture
async def proxy(server: PostgresServer) -> AsyncIterator[FaultProxy]:
    """What stands between the server and the drivers of `through`."""
    async with FaultProxy(("127.0.0.1", server.port)) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: FaultProxy, schema: str) -> AsyncIterator[Through]:
    """Open a driver whose connections go through the proxy."""
    drivers: list[PostgresDriver] = []

    async def connect(**options: Any) -> PostgresDriver:
        url = f"postgresql://postgres@127.0.0.1:{proxy.address[1]}/postgres"
        driver = PostgresDriver(url, schema=schema, **options)
        await driver.open()
        drivers.append(driver)
        return driver

    yield connect
    proxy.disarm()
    await proxy.cut()
    for driver in drivers:
        await driver.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the listener be probed often, and nobody wait long for a dead link."""
    monkeypatch.setattr("stoker_postgres._listener._PROBE_SECONDS", 0.05)
    monkeypatch.setattr("stoker_postgres._listener._PATIENCE", 0.5)
    for module in ("_transaction", "_client", "_block"):
        monkeypatch.setattr(f"stoker_postgres.{module}.RELEASE_SECONDS", 0.05)


async def hint(driver: PostgresDriver, wanted: Wake) -> None:
    """Wait until a hint of this kind has come."""
    async with asyncio.timeout(20):
        while await driver.wait(["q"], HOUR) & wanted != wanted:
            pass


async def nothing(driver: PostgresDriver) -> None:
    """Take the hints that have come so far."""
    while await driver.wait(["q"], timedelta(0)):
        pass


@pytest.mark.usefixtures("impatient")
async def test_a_listener_that_was_cut_off_listens_again(
    through: Through, driver: PostgresDriver, proxy: FaultProxy
) -> None:
    listening = await through()
    await hint(listening, EVERYTHING)  # it listens
    await nothing(listening)
    await proxy.cut()
    await hint(listening, EVERYTHING)  # again: it cannot know what it has missed
    await nothing(listening)
    await driver.enqueue([JOB])
    await hint(listening, Wake.WORK)


@pytest.mark.usefixtures("impatient")
async def test_a_listener_whose_link_fell_silent_listens_again(
    through: Through, driver: PostgresDriver, proxy: FaultProxy
) -> None:
    listening = await through()
    await hint(listening, EVERYTHING)
    await nothing(listening)
    proxy.arm(LinkFault.HALF_OPEN)  # hits its probe: nothing else is under way
    async with asyncio.timeout(20):
        await proxy.reached(LinkFault.HALF_OPEN)
    await hint(listening, EVERYTHING)
    await nothing(listening)
    await driver.enqueue([JOB])
    await hint(listening, Wake.WORK)


async def fire(driver: PostgresDriver) -> None:
    await driver.fire_schedule("q", "s", 0, None, [JOB])


async def block(driver: PostgresDriver) -> None:
    async with driver.transaction(lease=HOUR) as connection:
        await driver.enqueue_in(connection, [JOB])


async def states(driver: PostgresDriver) -> None:
    await driver.states([KEY])


OPERATIONS = {"a statement": states, "a transaction": fire, "a block": block}
LINKS: dict[str, dict[str, Any]] = {"own": {}, "as behind a pooler": {"pooler": True}}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("options", LINKS.values(), ids=list(LINKS))
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
@pytest.mark.parametrize("skip", [0, 1])
async def test_a_cancel_on_a_silent_link_is_not_kept_waiting(
    through: Through,
    proxy: FaultProxy,
    options: dict[str, Any],
    operation: Callable[[PostgresDriver], Awaitable[None]],
    skip: int,
) -> None:
    """However long a statement may take: nobody waits for a rollback that cannot come back."""
    driver = await through(command_timeout=3_600, **options)
    proxy.arm(LinkFault.HALF_OPEN, skip=skip)
    running = asyncio.ensure_future(operation(driver))
    async with asyncio.timeout(20):
        await proxy.reached(LinkFault.HALF_OPEN)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        proxy.disarm()
        assert await driver.states([KEY]) == [None]


@pytest.mark.parametrize(("pool", "round_trips"), [("own", 1), ("as behind a pooler", 4)])
async def test_a_statement_takes_as_many_round_trips_as_the_readme_says(
    through: Through, proxy: FaultProxy, pool: str, round_trips: int
) -> None:
    driver = await through(pool_size=3, **LINKS[pool])
    await driver.states([KEY])  # prepared, where it may be
    before = proxy.exchanges
    await driver.states([KEY])
    assert proxy.exchanges - before == round_trips


async def test_a_statement_on_a_user_s_pool_takes_as_many_round_trips_as_the_readme_says(
    server: PostgresServer, proxy: FaultProxy, schema: str
) -> None:
    url = f"postgresql://postgres@127.0.0.1:{proxy.address[1]}/postgres"
    async with asyncpg.create_pool(url, min_size=1, max_size=3) as pool:
        driver = PostgresDriver(pool, schema=schema)
        await driver.open()
        await driver.states([KEY])
        before = proxy.exchanges
        await driver.states([KEY])
        assert proxy.exchanges - before == 4
        await driver.close()


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    connect: Callable[..., Awaitable[PostgresDriver]], schema: str, raw: Any
) -> None:
    driver = await connect()
    for options in ({}, {"pooler": True}):
        hasty = await connect(command_timeout=0.1, **options)
        async with raw.transaction():
            await raw.execute(f"lock table {schema}.jobs")
            with pytest.raises(DriverUnavailable, match="command_timeout") as caught:
                await hasty.states([KEY])
        assert isinstance(caught.value.__cause__, asyncpg.QueryCanceledError)
        assert not caught.value.maybe_applied
        assert await hasty.states([KEY]) == [None]
    assert await driver.states([KEY]) == [None]


@pytest.mark.usefixtures("impatient")
async def test_a_statement_without_an_answer_is_given_up(
    through: Through, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_postgres._source._GRACE_SECONDS", 0.1)
    driver = await through(command_timeout=0.1)
    proxy.arm(LinkFault.HALF_OPEN)
    with pytest.raises(DriverUnavailable, match="did not answer in time") as caught:
        await driver.states([KEY])
    assert caught.value.maybe_applied
    assert await driver.states([KEY]) == [None]
