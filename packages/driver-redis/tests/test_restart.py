"""The server is killed and starts again under load: an application that goes on loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest
from packages.core.tests.application.helpers import eventually
from packages.core.tests.application.processes import Site
from tools.servers.valkey import ValkeyServer

LEASE = "lease=5"
WORKERS = 2
CRASHES = 3
MORE = 100
"""At least so many jobs are acknowledged before, between and after the crashes."""
HELD = 3


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A server of this test alone."""
    with ValkeyServer({"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@pytest.fixture
async def site(server: ValkeyServer, tmp_path: Path) -> AsyncIterator[Site]:
    """A producer and workers on that server, each in a process of its own."""
    folder = tmp_path / "runs"
    folder.mkdir()
    made = Site(f"{server.url}?persistence=always", folder)
    yield made
    await made.end()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
async def test_an_application_outlives_crashes_of_its_server_and_loses_nothing(
    server: ValkeyServer, site: Site, seed: int
) -> None:
    random = Random(seed)
    held = await site.produce(HELD, "patient")
    await asyncio.gather(*(site.start("work", LEASE) for _ in range(WORKERS)))

    async def are_held() -> bool:
        return all(site.lines(job_id) for job_id in held)

    await eventually(are_held)
    producer = await site.trickle("steady")
    for _ in range(CRASHES):
        await producer.until_more(MORE + random.randrange(MORE))
        await asyncio.to_thread(server.restart)
    await producer.until_more(MORE)
    acknowledged = await producer.stop()
    site.go()
    await site.explained(acknowledged)
    # Handlers that were running went on: the worker came back for their leases before anybody.
    assert await site.explained(held) == 0
    assert [site.lines(job_id) for job_id in held] == [["started 0", "ran"]] * HELD
