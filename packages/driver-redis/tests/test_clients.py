"""Clients of the user: what is taken from them, what is not, and which are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from redis.asyncio import Redis, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import UsernamePasswordCredentialProvider
from tools.servers.valkey import ValkeyServer

from stoker.driver import JobKey, JobState, NewJob, Wake
from stoker.errors import DriverUnavailable, InvalidInput, Unsupported
from stoker_conformance.faults.proxy import FaultProxy, LinkFault
from stoker_redis import RedisDriver

KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b", nonce="1", payload=b'{"n": "\xc3\xa9"}')
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("client", "part"),
    [
        (redis.Redis(), "not redis.client.Redis"),
        (redis.RedisCluster, "a redis.asyncio.RedisCluster is needed"),
        (Redis().pipeline(), "Pipeline"),
        (Sentinel([("h", 1)]).slave_for("main"), "for replicas"),  # type: ignore[no-untyped-call]
        (None, "a URL"),
    ],
)
def test_other_clients_are_refused(client: Any, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        RedisDriver(client)
    assert part in str(caught.value)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
async def test_a_users_client_is_used_and_left_as_it_is(
    server: ValkeyServer, connect: Any, protocol: int, decode: bool
) -> None:
    async with Redis(
        port=server.port, protocol=protocol, decode_responses=decode, max_connections=1
    ) as client:
        driver = await connect(client)
        assert await driver.wait(["q"], SECOND) == Wake.WORK
        await driver.enqueue([JOB])
        assert await driver.wait(["q"], SECOND) == Wake.WORK
        [record] = await driver.get([KEY])
        assert record is not None
        assert record.payload == JOB.payload
        await driver.close()
        assert await client.echo("é") == ("é" if decode else "é".encode())
        assert client.connection_pool.connection_kwargs.get("decode_responses", False) is decode


async def test_a_driver_around_a_users_client_is_not_cloned(server: ValkeyServer) -> None:
    async with Redis(port=server.port) as client:
        with pytest.raises(Unsupported):
            RedisDriver(client).clone()


async def test_what_a_client_would_send_again_is_sent_once(
    server: ValkeyServer, connect: Any, raw: Any
) -> None:
    async with FaultProxy(("127.0.0.1", server.port)) as proxy:
        host, port = proxy.address
        retry = Retry(NoBackoff(), 10)
        async with Redis(host=host, port=port, retry=retry) as client:
            driver = await connect(client)
            await driver.enqueue([NewJob(JobKey("q", "0"), "a.b")])
            await raw.config_resetstat()
            proxy.arm(LinkFault.CUT_REPLY)
            with pytest.raises(DriverUnavailable) as caught:
                await driver.enqueue([JOB])
            assert caught.value.maybe_applied
            stats = await raw.execute_command("INFO", "commandstats")
            assert stats["cmdstat_evalsha"]["calls"] == 1
            await driver.close()


async def test_a_time_limit_of_the_client_does_not_end_a_wait(
    server: ValkeyServer, connect: Any, raw: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with Redis(port=server.port, socket_timeout=0.001) as client:
        driver = await connect(client)
        await driver.wait(["q"], SECOND)
        assert await driver.wait(["q"], timedelta(seconds=0.05)) == Wake.NOTHING
        await driver.enqueue([JOB])
        assert await driver.wait(["q"], SECOND * 20) == Wake.WORK
    assert not caplog.records


async def test_credentials_and_the_database_are_taken_over(
    server: ValkeyServer, connect: Any, raw: Any, prefix: str
) -> None:
    server.ask("ACL", "SETUSER", "app", "on", ">word", "~*", "&*", "+@all")
    login = UsernamePasswordCredentialProvider("app", "word")
    async with Redis(port=server.port, db=3, credential_provider=login) as client:
        driver = await connect(client)
        await driver.enqueue([JOB])
        assert {info["user"] for info in await raw.client_list() if info["db"] == "3"} == {"app"}
    assert not [key async for key in raw.scan_iter(f"{prefix}:*")]


async def test_a_unix_socket_serves_too(connect: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "socket")
    with ValkeyServer({"unixsocket": path}):
        async with Redis(unix_socket_path=path) as client:
            driver = await connect(client)
            await driver.enqueue([JOB])
            assert await driver.states([KEY]) == [JobState.READY]
            assert path in repr(driver)
            await driver.close()
