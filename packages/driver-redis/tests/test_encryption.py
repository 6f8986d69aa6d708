"""Encrypted connections: a server that proves who it is, and others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tools.servers.tls import Authority, TlsFront
from tools.servers.valkey import ValkeyServer

from stoker.driver import JobKey, JobState, NewJob
from stoker.errors import DriverUnavailable, IncompatibleStore
from stoker_redis import RedisDriver

KEY = JobKey("q", "1")

Through = Callable[[str], RedisDriver]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whoever signs the certificate of the server."""
    return Authority(tmp_path, "ours")


@pytest.fixture
async def front(server: ValkeyServer, authority: Authority) -> AsyncIterator[TlsFront]:
    """The server, encrypted."""
    async with TlsFront(server.port, authority.server()) as front:
        yield front


@pytest.fixture
async def through(front: TlsFront, prefix: str) -> AsyncIterator[Through]:
    """Make a driver that connects to it, with parameters in the URL."""
    drivers: list[RedisDriver] = []

    def make(parameters: str) -> RedisDriver:
        url = f"rediss://127.0.0.1:{front.port}?prefix={prefix}&{parameters}"
        drivers.append(RedisDriver.from_url(url))
        return drivers[-1]

    yield make
    for driver in drivers:
        await driver.close()


async def refusal(driver: RedisDriver) -> str:
    with pytest.raises(IncompatibleStore) as caught:
        await driver.open()
    return str(caught.value)


async def test_with_its_authority_a_server_is_trusted_and_nothing_goes_in_the_clear(
    through: Through, authority: Authority, front: TlsFront
) -> None:
    driver = through(f"ssl_ca_certs={authority.file}")
    await driver.open()
    await driver.enqueue([NewJob(KEY, "a.b")])
    assert await driver.states([KEY]) == [JobState.READY]
    assert front.greeted >= 2  # to look at the server, and to use it


async def test_an_authority_that_nobody_named_is_not_trusted(
    through: Through, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "another")
    for parameters in ("", f"ssl_ca_certs={other.file}"):
        text = await refusal(through(parameters))
        assert "ssl_ca_certs" in text
        assert "certificate" in text


async def test_a_certificate_for_another_address_is_not_trusted(
    server: ValkeyServer, authority: Authority, prefix: str
) -> None:
    async with TlsFront(server.port, authority.server("192.0.2.1")) as front:
        url = f"rediss://127.0.0.1:{front.port}?ssl_ca_certs={authority.file}"
        text = await refusal(RedisDriver(url, prefix=prefix))
        assert "IP address mismatch" in text
        # Who does not want that looks at the signature alone.
        driver = RedisDriver(f"{url}&ssl_check_hostname=false", prefix=prefix)
        await driver.open()
        await driver.close()


async def test_a_client_that_does_not_encrypt_gets_no_answer(front: TlsFront) -> None:
    with pytest.raises(DriverUnavailable):
        await RedisDriver(f"redis://127.0.0.1:{front.port}").open()
