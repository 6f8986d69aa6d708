"""Workers are killed and connections cut: nothing is lost, and who runs twice has lost a lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest
from packages.core.tests.application.helpers import within
from packages.core.tests.application.processes import Site
from packages.core.tests.application.stores import Store

from stoker_conformance.faults import FaultProxy, LinkFault

LEASE = "lease=1.5"
JOBS = 240
ROUNDS = 3

CUTS = 25
MOST_BETWEEN = 25
"""At most so many exchanges pass between two cuts, over all connections."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where runs leave their lines."""
    made = tmp_path / "runs"
    made.mkdir()
    return made


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
async def test_killed_workers_lose_nothing_and_what_ran_twice_had_lost_its_lease(
    shared_store: Store, folder: Path, seed: int
) -> None:
    random = Random(seed)
    site = Site(shared_store.url, folder)
    try:
        ids = await site.produce(JOBS, "steady")
        for _ in range(ROUNDS):
            # Short lives and long ones: a turn does little, or all that there is to do.
            lives = [int(10 ** random.uniform(1, 3.5)) for _ in range(2)]
            workers = [site.start("work", LEASE, f"turns={turns}") for turns in lives]
            await site.until_over(await asyncio.gather(*workers), ids)
        await site.start("work", LEASE)
        # It has been tried: jobs were cut off in the middle of a run.
        assert await site.explained(ids) > 0
    finally:
        await site.end()


@pytest.fixture
async def proxy(remote_store: Store) -> AsyncIterator[FaultProxy]:
    """What stands between the processes and the store."""
    parts = urlsplit(remote_store.url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with FaultProxy((parts.hostname, parts.port)) as proxy:
        yield proxy


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
async def test_cut_connections_lose_nothing_and_what_ran_twice_had_lost_its_lease(
    remote_store: Store, proxy: FaultProxy, folder: Path, seed: int
) -> None:
    random = Random(seed)
    port = urlsplit(remote_store.url).port
    site = Site(remote_store.url.replace(f":{port}", f":{proxy.address[1]}"), folder)
    try:
        await asyncio.gather(*(site.start("work", LEASE) for _ in range(2)))
        await site.announced(2)
        producer = await site.trickle("steady")
        await producer.until_more(1)
        for _ in range(CUTS):
            fault = random.choice([LinkFault.CUT_REQUEST, LinkFault.CUT_REPLY])
            times = proxy.happened[fault] + 1
            proxy.arm(fault, skip=random.randrange(MOST_BETWEEN))
            async with within():
                await proxy.reached(fault, times)
            if random.randrange(5) == 0:
                await proxy.cut()  # all at once, whatever they are about
        await site.explained(await producer.stop())
    finally:
        await site.end()
