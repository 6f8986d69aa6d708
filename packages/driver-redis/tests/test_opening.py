"""Which servers the driver opens, and what it says of the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio.connection import SSLConnection
from tools.servers.valkey import ValkeyServer, free_port

from stoker.driver import Capability, Durability, JobKey, JobState, NewJob
from stoker.errors import DriverClosed, DriverUnavailable, IncompatibleStore, InvalidInput
from stoker_redis import RedisDriver
from stoker_redis._keys import Keys
from stoker_redis._url import place

KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b", nonce="1")

Change = Callable[[str, str], None]


async def refusal(driver: RedisDriver) -> str:
    with pytest.raises(IncompatibleStore) as caught:
        await driver.open()
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("mysql://host/db", "is not a URL of this driver"),
        ("redis://h1,h2", "names several servers"),
        ("redis://h:port", "has an address that is none"),
        ("redis://h/zero", "no number of a database"),
        ("redis+cluster://h1,h2/1", "a cluster has only the first"),
        ("redis+sentinel://h1,h2", "which service"),
        ("redis://h?pool_size=many", "pool_size='many': a whole number"),
        ("redis://h?pool_size=0", "pool_size=0: 1 to 1,000"),
        ("redis://h?replicas=-1", "replicas='-1': a whole number"),
        ("redis://h?persistence=often", "none, everysec, always"),
        ("redis://h?prefix=a%7Bb", "prefix='a{b'"),
        ("redis://h?prefix=", "prefix ''"),
        ("redis://h?protocol=three", "protocol"),
        ("redis://h?socket_timeout=1", "'socket_timeout'"),
        ("redis://h?decode_responses=1", "'decode_responses'"),
        ("redis://h?ssl_nonsense=1", "ssl_nonsense"),
    ],
)
def test_a_wrong_url_is_refused(url: str, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        RedisDriver.from_url(url)
    assert part in str(caught.value)


def test_options_in_a_url_are_not_overlooked() -> None:
    with pytest.raises(InvalidInput, match="from_url"):
        RedisDriver("redis://h?prefix=jobs")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://app:secret@host:1/3?prefix=jobs", "host:1"),
        ("rediss+cluster://app:secret@h1,h2:2", "h1:6379,h2:2"),
        ("redis+sentinel://app:secret@h1,h2:2/main?sentinel_password=secret", "'main' of h1:26379"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    driver = RedisDriver.from_url(url)
    assert shown in repr(driver)
    assert "secret" not in repr(driver)
    with pytest.raises(InvalidInput) as caught:
        RedisDriver.from_url(f"{url}&nonsense=1" if "?" in url else f"{url}?nonsense=1")
    assert "secret" not in str(caught.value)


def test_what_is_said_of_the_server_is_what_is_promised() -> None:
    weak = RedisDriver.from_url("redis://h").info
    middle = RedisDriver.from_url("redis://h?persistence=everysec").info
    strong = RedisDriver.from_url("redis://h?persistence=always").info
    assert Capability.DURABLE_RESTART not in weak.capabilities | middle.capabilities
    assert Capability.DURABLE_RESTART in strong.capabilities
    assert [weak.durability, middle.durability, strong.durability] == [
        Durability.BUFFERED,
        Durability.BUFFERED,
        Durability.DURABLE,
    ]


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
        "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main",
    ],
)
async def test_without_a_server_it_is_unavailable(url: str) -> None:
    with pytest.raises(DriverUnavailable, match=r"127\.0\.0\.1:1") as caught:
        await RedisDriver(url).open()
    assert not caught.value.maybe_applied
    assert caught.value.__cause__ is not None


async def test_a_wrong_password_is_told_apart_from_an_outage() -> None:
    with ValkeyServer() as server:
        server.ask("ACL", "SETUSER", "app", "on", ">word", "~*", "&*", "+@all")
        server.ask("CONFIG", "SET", "requirepass", "secret")
        host = f"127.0.0.1:{server.port}"
        for login in ("", ":wrong@", "app:wrong@", "nobody:word@"):
            text = await refusal(RedisDriver(f"redis://{login}{host}"))
            assert "does not let this user in" in text
        for login in (":secret@", "app:word@"):
            driver = RedisDriver(f"redis://{login}{host}")
            await driver.open()
            await driver.close()


async def test_a_server_of_another_kind_is_named() -> None:
    with ValkeyServer(sentinel="sentinel monitor other 127.0.0.1 1 1") as server:
        assert "this is a Sentinel" in await refusal(RedisDriver(server.url))
        with pytest.raises(DriverUnavailable, match="does not know it"):
            await RedisDriver(f"redis+sentinel://127.0.0.1:{server.port}/main").open()
    with ValkeyServer({"cluster-enabled": "yes", "cluster-port": str(free_port())}) as server:
        assert "write redis+cluster://" in await refusal(RedisDriver(server.url))
    replica = ValkeyServer({"replicaof": "127.0.0.1 1"})
    with replica, pytest.raises(DriverUnavailable, match="this is a replica"):
        await RedisDriver(replica.url).open()


async def test_a_single_server_is_no_cluster(server: ValkeyServer) -> None:
    driver = RedisDriver(f"redis+cluster://127.0.0.1:{server.port}")
    assert "not part of a cluster" in await refusal(driver)


async def test_a_database_that_is_not_there_is_named(server: ValkeyServer) -> None:
    assert "DB index is out of range" in await refusal(RedisDriver(f"{server.url}/999"))


def test_an_encrypted_url_makes_encrypted_connections() -> None:
    for url in ("rediss://h", "valkeys://h", "rediss+cluster://h", "rediss+sentinel://h/main"):
        assert place(url).settings["connection_class"] is SSLConnection
    for url in ("redis://h", "valkey://h", "redis+cluster://h", "redis+sentinel://h/main"):
        assert "connection_class" not in place(url).settings


async def test_an_old_server_is_refused(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_redis._server._OLDEST", (99, 1))
    text = await refusal(RedisDriver(server.url))
    assert "has version 9." in text
    assert "99.1 and later" in text


@pytest.mark.parametrize(
    ("aof", "fsync", "promise", "part"),
    [
        ("no", "always", "everysec", "keeps no append-only file"),
        ("no", "always", "always", "keeps no append-only file"),
        ("yes", "everysec", "always", "has 'appendfsync everysec'"),
        ("yes", "no", "always", "has 'appendfsync no'"),
    ],
)
async def test_a_server_that_keeps_less_than_promised_is_refused(
    server: ValkeyServer, settings: Change, aof: str, fsync: str, promise: str, part: str
) -> None:
    settings("appendonly", aof)
    settings("appendfsync", fsync)
    assert part in await refusal(RedisDriver(server.url, persistence=promise))


async def test_a_server_that_keeps_more_than_promised_is_taken(server: ValkeyServer) -> None:
    for promise in ("none", "everysec", "always"):
        driver = RedisDriver(server.url, persistence=promise)
        await driver.open()
        await driver.close()


async def test_what_cannot_be_seen_is_said(
    server: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.ask("ACL", "SETUSER", "blind", "on", ">word", "~*", "&*", "+@all", "-config", "-info")
    driver = RedisDriver(f"redis://blind:word@127.0.0.1:{server.port}", persistence="always")
    with caplog.at_level(logging.WARNING, logger="stoker_redis"):
        await driver.open()
    await driver.close()
    [record] = caplog.records
    assert "cannot be seen" in record.getMessage()


@pytest.mark.parametrize(
    ("policy", "warnings"),
    [("allkeys-lru", 1), ("allkeys-random", 1), ("volatile-ttl", 0), ("noeviction", 0)],
)
async def test_a_server_that_may_delete_jobs_is_warned_about_once(
    connect: Any,
    settings: Change,
    caplog: pytest.LogCaptureFixture,
    policy: str,
    warnings: int,
) -> None:
    settings("maxmemory-policy", policy)
    with caplog.at_level(logging.WARNING, logger="stoker_redis"):
        driver = await connect()
        await driver.open()
        await driver.enqueue([JOB])
    found = [record.getMessage() for record in caplog.records]
    assert len(found) == warnings
    assert all(policy in text and "noeviction" in text for text in found)


async def test_a_right_that_lacks_is_named(server: ValkeyServer) -> None:
    server.ask("ACL", "SETUSER", "weak", "on", ">word", "~*", "&*", "+@all", "-@scripting")
    text = await refusal(RedisDriver(f"redis://weak:word@127.0.0.1:{server.port}"))
    assert "lacks a right" in text


async def test_keys_outside_of_the_prefix_are_not_touched(
    server: ValkeyServer, connect: Any, prefix: str
) -> None:
    rights = ("+@all", f"~{prefix}:*", "resetchannels")
    server.ask("ACL", "SETUSER", "tenant", "on", ">word", *rights)
    driver = await connect(f"redis://tenant:word@127.0.0.1:{server.port}")
    await driver.enqueue([JOB])
    assert await driver.states([KEY]) == [JobState.READY]


async def test_a_key_of_another_type_is_named_and_nothing_is_stored(
    driver: RedisDriver, prefix: str, raw: Any
) -> None:
    [key] = Keys(prefix, "q").of(("ids",))
    await raw.set(key, "something else")
    with pytest.raises(IncompatibleStore, match="a key of another type"):
        await driver.enqueue([JOB])
    await raw.delete(key)
    assert await driver.states([KEY]) == [None]


async def test_a_driver_is_not_used_across_a_fork(
    driver: RedisDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getpid", lambda: 1)
    with pytest.raises(DriverClosed, match="fork"):
        await driver.states([KEY])
    monkeypatch.undo()
    assert await driver.states([KEY]) == [None]


async def test_a_driver_is_not_used_on_another_loop(driver: RedisDriver) -> None:
    def elsewhere() -> None:
        asyncio.run(asyncio.wait_for(driver.states([KEY]), 5))

    with pytest.raises(InvalidInput, match="another event loop"):
        await asyncio.to_thread(elsewhere)


async def test_a_clone_is_independent(driver: RedisDriver) -> None:
    clone = driver.clone()
    with pytest.raises(DriverClosed):
        await clone.states([KEY])
    await clone.open()
    await driver.enqueue([JOB])
    assert await clone.states([KEY]) == [JobState.READY]
    await clone.close()
    assert await driver.states([KEY]) == [JobState.READY]


async def test_calls_under_way_end_before_close(driver: RedisDriver) -> None:
    calls = [asyncio.create_task(driver.states([KEY])) for _ in range(30)]
    await asyncio.sleep(0)
    await driver.close()
    assert await asyncio.gather(*calls) == [[None]] * 30


async def test_calls_that_do_not_end_fail_when_it_is_closed(
    driver: RedisDriver, server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_redis._client._GRACE_SECONDS", 0.05)
    monkeypatch.setattr("stoker_redis._nodes._ANSWER_SECONDS", 1_000.0)
    await driver.states([KEY])
    server.pause()
    call = asyncio.create_task(driver.states([KEY]))
    await asyncio.sleep(0)
    await driver.close()
    with pytest.raises(DriverUnavailable) as caught:
        await call
    assert caught.value.maybe_applied
    server.resume()
    with pytest.raises(DriverClosed):
        await driver.states([KEY])
