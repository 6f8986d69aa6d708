"""A server that is killed, refuses, or says nothing; calls that are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis import exceptions
from redis.asyncio.connection import Connection
from tools.servers.valkey import ValkeyServer

from stoker.driver import EnqueueStatus, JobKey, JobState, NewJob
from stoker.errors import DriverUnavailable, IncompatibleStore
from stoker_conformance.faults.proxy import FaultProxy, LinkFault
from stoker_redis import RedisDriver
from stoker_redis._connection import Settings, talk
from stoker_redis._errors import translated, unreachable
from stoker_redis._pool import Pool
from stoker_redis._scripts import Script

KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b", nonce="1")

Change = Callable[[str, str], None]


async def unavailable(driver: RedisDriver) -> DriverUnavailable:
    with pytest.raises(DriverUnavailable) as caught:
        await driver.enqueue([JOB])
    return caught.value


async def test_a_driver_outlives_its_server(driver: RedisDriver, server: ValkeyServer) -> None:
    await driver.enqueue([JOB])
    await asyncio.to_thread(server.kill)
    with pytest.raises(DriverUnavailable):
        await driver.states([KEY])
    await asyncio.to_thread(server.start)
    assert await driver.states([KEY]) == [JobState.READY]


async def test_connections_that_a_restart_has_ended_are_noticed_before_they_are_used(
    driver: RedisDriver, server: ValkeyServer
) -> None:
    await driver.enqueue([JOB])
    await asyncio.gather(*(driver.states([KEY]) for _ in range(5)))
    await asyncio.to_thread(server.restart)
    for _ in range(5):
        assert await driver.states([KEY]) == [JobState.READY]


async def test_a_connection_in_use_does_not_outlive_what_its_node_was(
    server: ValkeyServer,
) -> None:
    pool = Pool(Settings(Connection, {"port": server.port}).connect, 5, "here")
    async with pool.link() as old:
        await pool.forget()
    async with pool.link() as new:
        assert new is not old
        assert not old.is_connected
    async with pool.link() as again:
        assert again is new
    await pool.close()


async def test_scripts_that_the_server_has_forgotten_are_loaded_again(
    driver: RedisDriver, raw: Any
) -> None:
    for _ in range(2):
        await raw.script_flush()
        [answer] = await driver.enqueue([JOB])
        assert answer.status is EnqueueStatus.INSERTED
    await raw.script_flush()
    jobs = [NewJob(JobKey(f"q{n}", "1"), "a.b", nonce="1") for n in range(5)]
    answers = await driver.enqueue(jobs)
    assert [answer.status for answer in answers] == [EnqueueStatus.INSERTED] * 5


async def test_a_primary_that_became_a_replica_is_left_alone_until_it_is_one_again(
    driver: RedisDriver, raw: Any
) -> None:
    await driver.states([KEY])
    await raw.execute_command("REPLICAOF", "127.0.0.1", "1")
    for part in ("READONLY|read only", "this is a replica"):
        error = await unavailable(driver)
        assert not error.maybe_applied
        assert error.__cause__ is not None
        assert any(word in str(error) for word in part.split("|"))
    await raw.execute_command("REPLICAOF", "NO", "ONE")
    assert await driver.states([KEY]) == [None]
    await driver.enqueue([JOB])


async def test_a_full_server_stores_nothing(driver: RedisDriver, settings: Change) -> None:
    settings("maxmemory", "1mb")
    error = await unavailable(driver)
    assert not error.maybe_applied
    settings("maxmemory", "0")
    assert await driver.states([KEY]) == [None]


async def test_a_server_that_is_busy_with_a_script_refuses(
    driver: RedisDriver, settings: Change, server: ValkeyServer
) -> None:
    await driver.states([KEY])
    settings("busy-reply-threshold", "1")
    endless = asyncio.create_task(asyncio.to_thread(server.ask, "EVAL", "while true do end", 0))
    async with asyncio.timeout(20):
        while not isinstance((error := await failure(driver)), DriverUnavailable):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert not error.maybe_applied
    server.ask("SCRIPT", "KILL")
    with pytest.raises(exceptions.ResponseError, match="killed"):
        await endless


async def test_a_script_that_an_operator_kills_has_done_nothing_and_may_be_tried_again(
    driver: RedisDriver, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.enqueue([JOB])
    with monkeypatch.context() as patched:
        endless = "-- Keys: runs\nwhile true do redis.call('HLEN', RUNS) end"
        patched.setattr("stoker_redis._scripts._read", lambda _: endless)
        patched.setattr("stoker_redis._inspect._STATES", Script("states"))
        stuck = asyncio.create_task(driver.states([KEY]))
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(killed, server):
                pass
        with pytest.raises(DriverUnavailable, match="killed") as caught:
            await stuck
    assert not caught.value.maybe_applied  # one that has written something cannot be killed
    assert await driver.states([KEY]) == [JobState.READY]


def killed(server: ValkeyServer) -> bool:
    """Kill the script that is running, if one is."""
    try:
        return bool(server.ask("SCRIPT", "KILL"))
    except exceptions.ResponseError:
        return False


async def failure(driver: RedisDriver) -> Exception | None:
    try:
        await driver.states([KEY])
    except DriverUnavailable as error:
        return error
    return None


@pytest.mark.parametrize(
    ("error", "maybe"),
    [
        (exceptions.BusyLoadingError("loading"), False),
        (exceptions.ClusterDownError("down"), False),
        (exceptions.TryAgainError("try again"), False),
        (exceptions.MasterDownError("down"), False),
        (exceptions.ResponseError("MISCONF cannot write"), False),
        (exceptions.ResponseError("NOREPLICAS not enough"), False),
        (exceptions.ResponseError("Script killed by user with SCRIPT KILL. script: on 1."), False),
        (
            exceptions.ResponseError("Error running script: Script killed by user with ..."),
            False,
        ),
        (exceptions.ConnectionError("closed"), True),
        (exceptions.TimeoutError("slow"), True),
        (OSError("reset"), True),
    ],
)
def test_an_error_tells_whether_the_request_may_have_been_applied(
    error: Exception, maybe: bool
) -> None:
    found = translated(error, "enqueue")
    assert isinstance(found, DriverUnavailable)
    assert found.maybe_applied is maybe
    never_sent = unreachable(error, "host:1")
    assert isinstance(never_sent, DriverUnavailable)
    assert not never_sent.maybe_applied


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (exceptions.ReadOnlyError("no"), DriverUnavailable),
        (exceptions.NoPermissionError("no"), IncompatibleStore),
    ],
)
async def test_what_cannot_be_confirmed_may_be_stored(
    connect: Any, monkeypatch: pytest.MonkeyPatch, refusal: Exception, kind: type[Exception]
) -> None:
    driver = await connect(replicas=1)

    async def refuse_wait(link: Any, commands: Any, seconds: float) -> list[Any]:
        if commands[-1][0] == "WAIT":
            return [refusal, 0]
        return await talk(link, commands, seconds)

    monkeypatch.setattr("stoker_redis._nodes.talk", refuse_wait)
    with pytest.raises(kind) as caught:
        await driver.enqueue([JOB])
    assert getattr(caught.value, "maybe_applied", True)
    assert await driver.states([KEY]) == [JobState.READY]


def test_a_refusal_that_stays_is_no_outage() -> None:
    for error in (
        exceptions.ResponseError("unknown command"),
        exceptions.NoPermissionError("no"),
        exceptions.AuthenticationError("no"),
    ):
        assert isinstance(translated(error, "enqueue"), IncompatibleStore)


async def test_a_lost_reply_is_not_asked_for_again(
    server: ValkeyServer, connect: Any, raw: Any
) -> None:
    async with FaultProxy(("127.0.0.1", server.port)) as proxy:
        driver = await connect("redis://{}:{}".format(*proxy.address))
        await driver.enqueue([NewJob(JobKey("q", "0"), "a.b")])
        await raw.config_resetstat()
        proxy.arm(LinkFault.CUT_REPLY)
        error = await unavailable(driver)
        assert error.maybe_applied
        stats = await raw.execute_command("INFO", "commandstats")
        assert stats["cmdstat_evalsha"]["calls"] == 1
        [answer] = await driver.enqueue([JOB])
        assert answer.status is EnqueueStatus.INSERTED
        await driver.close()


async def test_a_call_to_a_silent_server_ends(
    driver: RedisDriver, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.states([KEY])
    monkeypatch.setattr("stoker_redis._nodes._ANSWER_SECONDS", 0.05)
    server.pause()
    error = await unavailable(driver)
    assert error.maybe_applied
    monkeypatch.undo()
    server.resume()
    assert await driver.states([KEY]) != [JobState.RUNNING]


async def test_a_network_that_swallows_everything_costs_one_time_limit_and_not_one_a_connection(
    driver: RedisDriver, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*(driver.states([KEY]) for _ in range(10)))
    assert driver._store is not None
    opened = driver._store.client.opened
    assert opened > 2
    monkeypatch.setattr("stoker_redis._nodes._ANSWER_SECONDS", 0.05)
    server.pause()
    await unavailable(driver)
    monkeypatch.undo()
    server.resume()
    await driver.states([KEY])
    assert driver._store.client.opened == opened + 1  # those that were idle are not trusted


async def test_a_cancelled_call_leaves_no_answer_behind(
    driver: RedisDriver, server: ValkeyServer
) -> None:
    await driver.enqueue([JOB])
    assert driver._store is not None
    for _ in range(5):
        opened = driver._store.client.opened
        server.pause()
        call = asyncio.create_task(driver.queues())
        while driver._store.client._in_flight == 0:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.resume()
        assert await driver.states([KEY]) == [JobState.READY]
        assert driver._store.client.opened == opened + 1


async def test_connections_are_bounded_and_shared(connect: Any) -> None:
    driver = await connect(pool_size=2)
    calls = [driver.states([KEY]) for _ in range(50)]
    assert await asyncio.gather(*calls) == [[None]] * 50
    assert driver._store.client.opened == 2
