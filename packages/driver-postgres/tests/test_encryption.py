"""Encrypted connections: a server that proves who it is, and others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.servers.postgres import PostgresServer
from tools.servers.tls import Authority, TlsFront

from stoker.driver import JobKey, JobState, NewJob
from stoker.errors import IncompatibleStore
from stoker_postgres import PostgresDriver

KEY = JobKey("q", "1")
REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""What a client asks with, whether the server encrypts."""


def encrypted(front: TlsFront, parameters: str, schema: str) -> PostgresDriver:
    url = f"postgresql://postgres@127.0.0.1:{front.port}/postgres?sslmode=verify-full"
    return PostgresDriver(url + parameters, schema=schema)


async def test_with_its_authority_a_server_is_trusted(
    server: PostgresServer, schema: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "ours")
    async with TlsFront(server.port, authority.server(), asked=REQUEST) as front:
        driver = encrypted(front, f"&sslrootcert={authority.file}", schema)
        await driver.open()
        await driver.enqueue([NewJob(KEY, "a.b")])
        assert await driver.states([KEY]) == [JobState.READY]
        assert front.greeted > 0
        await driver.close()


async def test_what_cannot_prove_who_it_is_is_refused(
    server: PostgresServer, schema: str, tmp_path: Path
) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "another")
    for signed, address, reason in (
        (other, "127.0.0.1", "unable to get local issuer"),
        (ours, "192.0.2.1", "IP address mismatch"),
    ):
        async with TlsFront(server.port, signed.server(address), asked=REQUEST) as front:
            driver = encrypted(front, f"&sslrootcert={ours.file}", schema)
            with pytest.raises(IncompatibleStore, match="sslrootcert") as caught:
                await driver.open()
            assert reason in str(caught.value)
