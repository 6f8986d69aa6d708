"""What the life of a job writes to the log of the database: bytes, which every index adds to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from tools.servers.postgres import PostgresServer

from stoker.driver import (
    IMMEDIATELY,
    Complete,
    JobKey,
    JobState,
    KeepFor,
    Lease,
    NewJob,
    Retry,
    Settlement,
    Want,
)
from stoker_postgres import PostgresDriver
from stoker_postgres._sql import statement

JOBS = 1_000
LEASE = timedelta(minutes=1)
AT_ONCE = KeepFor(completed=timedelta(0))
HEAP_ONLY = "select pg_stat_get_xact_tuples_hot_updated('stoker.jobs'::regclass)"
"""How many updates of this transaction have stayed on their page, and touched no index."""

ELSEWHERE = "select pg_stat_get_xact_tuples_newpage_updated('stoker.jobs'::regclass)"
"""How many have not: such a row is written to the log as a whole."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store() -> AsyncIterator[tuple[PostgresDriver, Any]]:
    """A driver, and a connection to a server on which nobody else writes."""
    # Images of whole pages follow a checkpoint, whenever that was.
    with PostgresServer(autovacuum="off", full_page_writes="off") as server:
        driver, raw = PostgresDriver(server.url), await asyncpg.connect(server.url)
        await driver.open()
        try:
            yield driver, raw
        finally:
            await driver.close()
            await raw.close()


async def written(raw: Any, work: Callable[[], Awaitable[object]]) -> float:
    """Do something for all jobs, and return how many bytes it has written for each."""
    before = await raw.fetchval("select pg_current_wal_insert_lsn()")
    await work()
    query = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)::bigint"
    return int(await raw.fetchval(query, before)) / JOBS


async def claimed(driver: PostgresDriver, queue: str) -> list[Lease]:
    """Claim all jobs, a hundred at a time."""
    leases: list[Lease] = []
    while True:
        claim = await driver.claim([Want(queue, 100)], worker="worker-1", lease=LEASE)
        if not claim.leases:
            return leases
        leases += claim.leases


async def stored(driver: PostgresDriver, queue: str, **fields: Any) -> None:
    """Enqueue all jobs."""
    payload = b'{"number": 12345, "text": "a small payload"}'
    keys = [JobKey(queue, f"019aa4a2-8f6e-7c3b-9d1e-{n:012}") for n in range(JOBS)]
    await driver.enqueue([NewJob(key, "post.deliver", payload, **fields) for key in keys])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_job_that_is_not_kept_writes_few_bytes(store: tuple[PostgresDriver, Any]) -> None:
    driver, raw = store

    async def run() -> None:
        items = [Settlement(lease.token, Complete()) for lease in await claimed(driver, "gone")]
        for start in range(0, JOBS, 100):
            await driver.settle(items[start : start + 100])

    enqueued = await written(raw, lambda: stored(driver, "gone", keep=AT_ONCE))
    done = await written(raw, run)
    assert await driver.states([JobKey("gone", "019aa4a2-8f6e-7c3b-9d1e-000000000001")]) == [None]
    assert enqueued < 600
    assert done < 700  # the claim, the settlement and the removal


@pytest.mark.asyncio(loop_scope="module")
async def test_a_record_that_is_kept_costs_an_index_more(store: tuple[PostgresDriver, Any]) -> None:
    driver, raw = store

    async def run() -> None:
        items = [Settlement(lease.token, Complete()) for lease in await claimed(driver, "kept")]
        for start in range(0, JOBS, 100):
            await driver.settle(items[start : start + 100])

    await stored(driver, "kept")
    assert await written(raw, run) < 780


@pytest.mark.asyncio(loop_scope="module")
async def test_a_claim_has_room_on_the_page_of_its_job(store: tuple[PostgresDriver, Any]) -> None:
    driver, raw = store
    await stored(driver, "near")
    worker = "worker-with-a-long-name.example.com-12345-0123456789abcdef"
    async with raw.transaction():
        await raw.fetch(statement("claim"), None, ["near"], [JOBS], worker, 60_000_000)
        assert await raw.fetchval(ELSEWHERE) == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_heartbeat_touches_no_index(store: tuple[PostgresDriver, Any]) -> None:
    driver, raw = store
    await stored(driver, "alive")
    tokens = [lease.token for lease in await claimed(driver, "alive")]
    ids, epochs = [token.key.id for token in tokens], [token.epoch for token in tokens]
    alive = (["alive"] * JOBS, ids, epochs, [None] * JOBS)
    async with raw.transaction():
        await raw.fetch(statement("extend"), None, 60_000_000, *alive, [], [])
        assert await raw.fetchval(HEAP_ONLY) > 0.8 * JOBS  # a page that is full has no room


@pytest.mark.asyncio(loop_scope="module")
async def test_a_retry_writes_little_more_than_a_claim(store: tuple[PostgresDriver, Any]) -> None:
    driver, raw = store
    await stored(driver, "again", max_attempts=2)
    leases: list[Lease] = []

    async def claim() -> None:
        leases.extend(await claimed(driver, "again"))

    async def retry() -> None:
        error = b'{"error": "it broke"}'
        await driver.settle([Settlement(one.token, Retry(IMMEDIATELY, error)) for one in leases])

    first = await written(raw, claim)
    assert await written(raw, retry) < 1.5 * first
    assert await driver.states([leases[0].token.key]) == [JobState.READY]
