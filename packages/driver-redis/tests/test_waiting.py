"""Waiting for hints: one read that the server answers, for all queues of a client."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tools.servers.valkey import ValkeyServer

from stoker.driver import JobKey, NewJob, Wake, Want
from stoker.errors import DriverUnavailable, InvalidInput
from stoker_conformance.faults.proxy import FaultProxy, LinkFault
from stoker_redis import RedisDriver
from stoker_redis._connection import talk

LONG = timedelta(seconds=30)
NONE = timedelta(0)


def job(queue: str, number: int = 1) -> NewJob:
    return NewJob(JobKey(queue, str(number)), "a.b")


async def begun(driver: RedisDriver, *queues: str) -> None:
    """Wait for the first time, and until the server has the read."""
    assert await driver.wait(queues, LONG) == Wake.WORK
    await blocked(driver)


async def blocked(driver: RedisDriver) -> None:
    async with asyncio.timeout(20):
        other = driver.clone()
        await other.open()
        assert other._store is not None
        async with other._store.client._nodes._pool.link() as link:  # type: ignore[attr-defined]
            while b"blocked_clients:1\r" not in (await talk(link, [("INFO", "clients")], 5))[0]:
                pass
        await other.close()


async def test_one_blocked_read_serves_all_queues(driver: RedisDriver, connect: Any) -> None:
    queues = [f"q{n}" for n in range(20)]
    await begun(driver, *queues)
    producer = await connect()
    for queue in queues:
        await producer.enqueue([job(queue)])
        assert await driver.wait([queue], LONG) == Wake.WORK
    await blocked(driver)


async def test_a_hint_between_two_waits_ends_the_next(driver: RedisDriver, connect: Any) -> None:
    await begun(driver, "q")
    producer = await connect()
    await producer.enqueue([job("q")])
    assert await driver.wait(["q"], LONG) == Wake.WORK


async def test_a_new_queue_joins_the_read_under_way(
    driver: RedisDriver, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_redis._listener._BLOCK_SECONDS", 1_000.0)
    await begun(driver, "old")
    await begun(driver, "old", "new")
    producer = await connect()
    for queue in ("new", "old"):
        await producer.enqueue([job(queue)])
        assert await driver.wait(["old", "new"], LONG) == Wake.WORK


async def test_a_cancel_of_a_run_is_told_as_such(driver: RedisDriver, connect: Any) -> None:
    producer = await connect()
    await producer.enqueue([job("q")])
    claimed = await producer.claim([Want("q", 1)], worker="w", lease=LONG)
    await driver.wait(["q"], LONG)
    while await driver.wait(["q"], timedelta(seconds=0.05)):  # what was told before
        pass
    await producer.cancel([claimed.leases[0].token.key], reason="enough")
    assert Wake.CANCEL in await driver.wait(["q"], LONG)


async def test_a_second_waiter_is_refused(driver: RedisDriver) -> None:
    await begun(driver, "q")
    first = asyncio.create_task(driver.wait(["q"], LONG))
    await asyncio.sleep(0)
    with pytest.raises(InvalidInput, match="one waiter"):
        await driver.wait(["q"], LONG)
    await driver.close()
    assert await first == Wake.NOTHING


async def test_a_reader_that_was_cut_hints_at_everything_and_reads_on(
    driver: RedisDriver, connect: Any, raw: Any
) -> None:
    await begun(driver, "q")
    [reader] = [client for client in await raw.client_list() if client["cmd"] == "xread"]
    await raw.client_kill_filter(_id=reader["id"])
    # It does not know what it has missed.
    assert await driver.wait(["q"], LONG) == Wake.WORK | Wake.CANCEL
    producer = await connect()
    await producer.enqueue([job("q")])
    assert await driver.wait(["q"], LONG) == Wake.WORK


async def test_a_link_that_is_dead_without_a_goodbye_is_noticed(
    server: ValkeyServer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_redis._listener._BLOCK_SECONDS", 0.05)
    monkeypatch.setattr("stoker_redis._listener._PATIENCE", 0.1)
    async with FaultProxy(("127.0.0.1", server.port)) as proxy:
        driver = await connect("redis://{}:{}".format(*proxy.address))
        await begun(driver, "q")
        proxy.arm(LinkFault.HALF_OPEN)
        await asyncio.wait_for(proxy.reached(LinkFault.HALF_OPEN), 20)
        assert await driver.wait(["q"], LONG) == Wake.WORK | Wake.CANCEL
        await driver.close()


@pytest.mark.parametrize(
    "error", [DriverUnavailable("away", maybe_applied=False), ConnectionError("away")]
)
async def test_a_reader_that_cannot_connect_tries_again(
    driver: RedisDriver, connect: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert driver._store is not None
    nodes, anew = driver._store.client._nodes, list[bool]()

    async def fail_first(key: bytes, again: bool) -> Any:
        anew.append(again)
        if len(anew) == 1:
            raise error
        return await nodes.connect(key, again)

    monkeypatch.setattr(driver._store.client._listener, "_connect", fail_first)
    await begun(driver, "q")
    assert anew == [False, True]
    assert await driver.wait(["q"], LONG) == Wake.WORK | Wake.CANCEL


async def test_a_reader_that_has_broken_is_not_waited_for(
    driver: RedisDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert driver._store is not None
    listener = driver._store.client._listener

    async def broken(key: bytes, again: bool) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(listener, "_connect", broken)
    await driver.wait(["q"], LONG)
    [reader] = listener._readers.values()
    assert reader._task is not None
    await asyncio.wait([reader._task])
    with pytest.raises(ZeroDivisionError):
        await driver.wait(["q"], LONG)


async def test_a_restarted_server_is_read_from_again(
    driver: RedisDriver, connect: Any, server: ValkeyServer
) -> None:
    await begun(driver, "q")
    await asyncio.to_thread(server.restart)
    assert await driver.wait(["q"], LONG)
    producer = await connect()
    await producer.enqueue([job("q")])
    assert await driver.wait(["q"], LONG)


async def test_without_a_hint_a_wait_ends_by_itself(driver: RedisDriver) -> None:
    await begun(driver, "q")
    assert await driver.wait(["q"], NONE) == Wake.NOTHING
    assert await driver.wait(["q"], timedelta(seconds=0.01)) == Wake.NOTHING
