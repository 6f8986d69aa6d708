"""A primary that is lost, and the replica that takes over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from redis.asyncio import Sentinel
from tools.servers.valkey import ValkeySentinel

from stoker.driver import EnqueueStatus, JobKey, JobState, NewJob, Wake
from stoker.errors import DriverUnavailable
from stoker_redis import RedisDriver

Connect = Callable[..., Awaitable[RedisDriver]]

pytestmark = pytest.mark.slow

LONG = timedelta(seconds=60)


@pytest.fixture
def servers() -> Iterator[ValkeySentinel]:
    with ValkeySentinel() as servers:
        yield servers


def job(number: int) -> NewJob:
    return NewJob(JobKey("q", f"{number:06}"), "a.b", nonce="1")


async def send(driver: RedisDriver, number: int) -> EnqueueStatus:
    """Enqueue a job as the core does: again and again until there is an answer."""
    async with asyncio.timeout(60):
        while True:
            try:
                return (await driver.enqueue([job(number)]))[0].status
            except DriverUnavailable:
                await asyncio.sleep(0.05)


@pytest.fixture
async def connect(prefix: str) -> AsyncIterator[Connect]:
    """Open a driver."""
    drivers: list[RedisDriver] = []

    async def open_another(where: Any, **options: Any) -> RedisDriver:
        driver = RedisDriver(where, prefix=prefix, **options)
        drivers.append(driver)
        await driver.open()
        return driver

    yield open_another
    for driver in drivers:
        await driver.close()


async def test_what_replicas_confirmed_outlives_a_failover_under_load(
    servers: ValkeySentinel, connect: Connect
) -> None:
    producer = await connect(servers.url, replicas=1)
    other = await connect(servers.url)
    assert await other.wait(["q"], LONG) == Wake.WORK
    numbers = count()
    stored: list[int] = []
    unsure: list[int] = []
    enough = asyncio.Event()

    async def produce() -> None:
        for number in numbers:
            try:
                await producer.enqueue([job(number)])
            except DriverUnavailable:
                unsure.append(number)
                return
            stored.append(number)
            if len(stored) == 200:
                enough.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(produce())
        await enough.wait()
        servers.primary.kill()
    assert len(unsure) == 5
    for number in unsure:
        assert await send(other, number) is EnqueueStatus.INSERTED
    keys = [JobKey("q", f"{number:06}") for number in (*stored, *unsure)]
    assert set(await other.states(keys)) == {JobState.READY}
    counts = (await other.stats(["q"]))["q"].counts
    assert counts[JobState.READY] == len(keys)
    assert await other.wait(["q"], LONG)  # it listens to the new primary


async def test_fewer_replicas_than_wanted_is_said(
    servers: ValkeySentinel, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_redis._nodes._REPLICA_SECONDS", 0.1)
    servers.replica.pause()
    drivers = [await connect(servers.url, replicas=1) for _ in range(2)]
    for driver in drivers:  # the second writes nothing, and is not confirmed either
        with pytest.raises(DriverUnavailable, match="only 0 of 1 replicas") as caught:
            await driver.enqueue([job(1)])
        assert caught.value.maybe_applied
    servers.replica.resume()
    assert await send(drivers[0], 1) is EnqueueStatus.INSERTED


async def test_a_users_client_of_sentinels_leads_to_the_new_primary(
    servers: ValkeySentinel, connect: Connect
) -> None:
    sentinel = Sentinel([("127.0.0.1", servers.sentinel.port)])  # type: ignore[no-untyped-call]
    client = sentinel.master_for(servers.service)
    driver = await connect(client)
    await send(driver, 1)
    await asyncio.to_thread(servers.primary.kill)
    assert await send(driver, 2) is EnqueueStatus.INSERTED
    for each in (client, *sentinel.sentinels):
        await each.aclose()
