"""An application behind a real PgBouncer, which dies and comes back."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from tools.servers.pgbouncer import MISSING, PgBouncer, find_pgbouncer
from tools.servers.postgres import PostgresServer

from stoker import Fixed, JobRun, Router, Stoker, WorkerOptions
from stoker_postgres import PostgresDriver

MANY = 20


@pytest.fixture
def pooler(server: PostgresServer) -> Iterator[PgBouncer]:
    """A pooler with two connections for everybody."""
    if find_pgbouncer() is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(MISSING)
    with PgBouncer(server.url, size=2) as pooler:
        yield pooler


@pytest.mark.parametrize("dies", ["pooler", "server"])
async def test_handlers_go_on_while_the_store_is_away_and_their_outcomes_arrive(
    server: PostgresServer, pooler: PgBouncer, schema: str, raw: Any, dies: str
) -> None:
    await raw.execute(f"create table effects_{schema} (job text)")
    router = Router[None]("r")
    inside = asyncio.Semaphore(0)
    go = asyncio.Event()
    runs: Counter[str] = Counter()

    @router.job
    async def plain(_: None, __: None, run: JobRun) -> None:
        runs[run.id] += 1
        inside.release()
        await go.wait()

    @router.job(attempts=1_000, backoff=Fixed(0.05))
    async def together(_: None, __: None, run: JobRun) -> None:
        runs[run.id] += 1
        inside.release()
        await go.wait()
        async with run.transaction() as connection:
            await connection.execute(f"insert into effects_{schema} values ($1)", run.id)

    options = WorkerOptions(concurrency=2 * MANY, poll=0.1)
    driver = PostgresDriver(pooler.url, schema=schema, pooler=True)
    async with (
        asyncio.timeout(60),
        Stoker(driver, jobs=[router], context=None, autostart_worker=options) as app,
    ):
        calls = [job for job in (plain, together) for _ in range(MANY)]
        handles = await asyncio.gather(*(app.schedule(job) for job in calls))
        for _ in calls:
            await inside.acquire()
        await asyncio.to_thread(pooler.restart if dies == "pooler" else server.restart)
        go.set()
        for handle in handles:
            await handle.result(timeout=60)
    assert {runs[handle.id] for handle in handles[:MANY]} == {1}
    connection = await asyncpg.connect(server.url)
    rows = await connection.fetch(f"select job from effects_{schema}")
    await connection.close()
    assert sorted(row[0] for row in rows) == sorted(handle.id for handle in handles[MANY:])
