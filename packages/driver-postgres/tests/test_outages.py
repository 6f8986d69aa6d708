"""A server that is killed, and connections that are cut."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tools.servers.postgres import PostgresServer

from stoker.driver import JobKey, JobState, NewJob, Wake
from stoker.errors import DriverUnavailable
from stoker_postgres import PostgresDriver

KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b", nonce="1")
SECOND = timedelta(seconds=1)


async def answered(driver: PostgresDriver) -> list[JobState | None]:
    """Ask until the server answers again."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await driver.states([KEY])
            except DriverUnavailable:
                await asyncio.sleep(0.05)


async def test_a_driver_outlives_its_server(driver: PostgresDriver, server: PostgresServer) -> None:
    await driver.enqueue([JOB])
    await asyncio.to_thread(server.kill)
    with pytest.raises(DriverUnavailable):
        await driver.states([KEY])
    await asyncio.to_thread(server.start)
    assert await answered(driver) == [JobState.READY]


async def test_a_listener_that_was_cut_listens_again(driver: PostgresDriver, raw: Any) -> None:
    assert await driver.wait(["q"], SECOND) == Wake.WORK
    while await driver.wait(["q"], SECOND / 20):
        pass
    cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where query ~ 'pg_notify'"
    async with asyncio.timeout(20):
        await raw.execute(f"{cut} and pid <> pg_backend_pid()")
        # It does not know what it has missed, so it hints at everything when it is back.
        while await driver.wait(["q"], SECOND * 5) != Wake.WORK | Wake.CANCEL:
            pass
        await driver.enqueue([JOB])
        while not await driver.wait(["q"], SECOND * 5):
            pass


async def test_a_listener_whose_channel_was_forgotten_notices(
    driver: PostgresDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_postgres._listener._PROBE_SECONDS", 0.05)
    monkeypatch.setattr("stoker_postgres._listener._PATIENCE", 0.2)
    await driver.wait(["q"], SECOND)
    assert driver._client is not None
    listener = driver._client._listener
    connections: list[Any] = []
    listen = asyncpg.Connection.add_listener

    async def listen_and_forget_once(connection: Any, *arguments: Any) -> None:
        await listen(connection, *arguments)
        if not connections:
            await connection.execute("unlisten *")
        connections.append(connection)

    monkeypatch.setattr(asyncpg.Connection, "add_listener", listen_and_forget_once)
    listener._lost.set()  # so that the next connection is the one that forgets
    async with asyncio.timeout(20):
        while len(connections) < 2:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
        await driver.enqueue([JOB])
        while not await driver.wait(["q"], SECOND * 5):
            pass
