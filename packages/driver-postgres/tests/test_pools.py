"""Pools: the driver's own and a user's, with the plans and the settings that each leads to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tools.servers.postgres import PostgresServer

from stoker.driver import (
    After,
    Complete,
    Extension,
    JobKey,
    JobQuery,
    JobState,
    NewJob,
    Retry,
    Settlement,
    Token,
    Want,
)
from stoker.errors import DriverClosed, DriverUnavailable, InvalidInput
from stoker_postgres import PostgresDriver

HOUR = timedelta(hours=1)
LATER = After(HOUR)
JOBS = 20_000
RUNNING = 200

FILL = """
insert into {schema}.jobs (
    queue, id, name, state, priority, place, run_at, enqueued_at, ready_at, expires_at, finished_at,
    epoch, attempt, max_attempts, max_crashes, payload, payload_version
)
select 'q', state || n, 'a.b', state, 4, n, now() + interval '1 day', now(), now(),
    case when state = 'running' then now() + interval '1 minute' end,
    case when state = 'completed' then now() end, n, 1, 3, 1, '{{}}', 1
from unnest($1::text[], $2::bigint[]) as s (state, jobs)
cross join generate_series(1, s.jobs) as n
"""
TOUCHED = """
select sum(shared_blks_hit + shared_blks_read)::bigint from pg_stat_statements
where query not like '%pg_stat%'
"""
"""Pages that statements have read."""

KINDS: dict[str, dict[str, Any]] = {
    "own": {},
    "own, as behind a pooler": {"pooler": True},
    "a user's": {"pool": {}},
    "a user's, with nothing prepared": {"pool": {"statement_cache_size": 0}},
}


def keys(state: str) -> list[JobKey]:
    return [JobKey("q", f"{state}{n}") for n in range(1, 101)]


def running(first: int) -> list[Token]:
    return [Token(JobKey("q", f"running{n}"), n) for n in range(first, first + 50)]


Call = Callable[[PostgresDriver], Awaitable[object]]
CALLS: dict[str, Call] = {
    "get": lambda d: d.get(keys("ready")),
    "states": lambda d: d.states(keys("ready")),
    "search": lambda d: d.search("q", JobQuery(limit=100)),
    "search newest": lambda d: d.search("q", JobQuery(limit=100, newest_first=True)),
    "extend": lambda d: d.extend([Extension(token) for token in running(1)], lease=HOUR),
    "complete": lambda d: d.settle([Settlement(token, Complete()) for token in running(1)]),
    "retry": lambda d: d.settle([Settlement(each, Retry(LATER, b"1")) for each in running(51)]),
    "reschedule": lambda d: d.reschedule(keys("scheduled"), After(timedelta(days=2))),
    "cancel": lambda d: d.cancel(keys("scheduled"), reason="no"),
    "remove": lambda d: d.remove(keys("completed")),
    "claim": lambda d: d.claim([Want("q", 50)], worker="w", lease=HOUR),
    "promote": lambda d: d.promote(["q"], limit=50),
    "reap": lambda d: d.reap(["q"], limit=50, delay=timedelta(0), error=b"1"),
}
MOST = 3_000
"""Pages for a hundred jobs; a look at all of them is more than 20,000."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(shared_preload_libraries="pg_stat_statements") as server:
        yield server


@asynccontextmanager
async def opened(
    server: PostgresServer, schema: str, kind: dict[str, Any]
) -> AsyncIterator[PostgresDriver]:
    """Open a driver with a pool of this kind."""
    options = dict(kind)
    pool = options.pop("pool", None)
    if pool is None:
        driver = PostgresDriver(server.url, schema=schema, pool_size=3, **options)
        await driver.open()
        yield driver
        await driver.close()
    else:
        async with asyncpg.create_pool(server.url, min_size=1, max_size=3, **pool) as users:
            driver = PostgresDriver(users, schema=schema)
            await driver.open()
            yield driver
            await driver.close()


@pytest.mark.parametrize("before", ["new", "drained"])
@pytest.mark.parametrize("kind", KINDS)
async def test_plans_that_were_made_for_an_empty_store_are_good_for_a_full_one(
    server: PostgresServer, schema: str, raw: Any, kind: str, before: str
) -> None:
    """The planner is sure that the store is empty: it was analysed when it was."""
    await raw.execute("create extension if not exists pg_stat_statements")
    fill = FILL.format(schema=schema)
    states = ["ready", "scheduled", "completed", "running"]
    jobs = [JOBS, JOBS, JOBS, RUNNING]
    touched: dict[str, int] = {}
    async with opened(server, schema, KINDS[kind]) as driver:
        await raw.execute(f"alter table {schema}.jobs set (autovacuum_enabled = off)")
        if before == "drained":
            await raw.execute(fill, states, jobs)
            await raw.execute(f"delete from {schema}.jobs")
        await raw.execute(f"vacuum analyze {schema}.jobs")
        for call in CALLS.values():
            for _ in range(7):  # the server keeps a plan after the fifth time
                await call(driver)
        await raw.execute(fill, states, jobs)
        for name, call in CALLS.items():
            await raw.execute("select pg_stat_statements_reset()")
            await call(driver)
            touched[name] = await raw.fetchval(TOUCHED)
    assert {name: pages for name, pages in touched.items() if pages > MOST} == {}


async def settings(connection: Any) -> set[str]:
    """Return what the planner may not do on a connection."""
    query = "select name from pg_settings where name like 'enable%' and setting = 'off'"
    return {row[0] for row in await connection.fetch(query)}


async def test_a_block_is_planned_as_the_server_would(
    server: PostgresServer, schema: str, raw: Any
) -> None:
    async with opened(server, schema, KINDS["own"]) as driver:
        for _ in range(2):
            async with driver.transaction(lease=HOUR) as connection:
                assert await settings(connection) == await settings(raw)
            assert driver._client is not None
            async with driver._client.connection() as connection:
                assert "enable_seqscan" in await settings(connection)


@pytest.mark.parametrize("kind", ["own, as behind a pooler", "a user's"])
async def test_nothing_is_set_on_a_connection_that_is_not_the_driver_s(
    server: PostgresServer, schema: str, raw: Any, kind: str
) -> None:
    async with opened(server, schema, KINDS[kind]) as driver:
        await driver.enqueue([NewJob(JobKey("q", "1"), "a.b")])
        assert driver._client is not None
        async with driver._client.connection() as connection:
            assert await settings(connection) == await settings(raw)
            assert await connection.fetch("show statement_timeout") == [("0",)]


async def test_a_pool_that_is_all_taken_is_named(
    server: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncpg.create_pool(server.url, min_size=3, max_size=3) as pool:
        driver = PostgresDriver(pool, schema=schema)
        await driver.open()
        monkeypatch.setattr("stoker_postgres._client._ACQUIRE_SECONDS", 0.05)
        taken = [await pool.acquire() for _ in range(3)]
        with pytest.raises(DriverUnavailable, match="all 3 connections of the pool") as caught:
            await driver.states([JobKey("q", "1")])
        assert not caught.value.maybe_applied
        await pool.release(taken.pop())
        assert await driver.states([JobKey("q", "1")]) == [None]
        for connection in taken:
            await pool.release(connection)
        await driver.close()


async def test_a_pool_that_was_closed_too_early_is_named(
    server: PostgresServer, schema: str
) -> None:
    async with asyncpg.create_pool(server.url, min_size=1, max_size=3) as pool:
        driver = PostgresDriver(pool, schema=schema)
        await driver.open()
    with pytest.raises(DriverClosed, match="close it after the driver"):
        await driver.states([JobKey("q", "1")])
    await driver.close()


async def test_a_pool_that_is_too_small_is_refused(server: PostgresServer) -> None:
    async with asyncpg.create_pool(server.url, min_size=1, max_size=2) as pool:
        with pytest.raises(InvalidInput, match="max_size=2"):
            PostgresDriver(pool)


async def test_the_driver_s_own_pool_grows_no_further_than_its_size(
    connect: Callable[..., Awaitable[PostgresDriver]], raw: Any
) -> None:
    driver = await connect(pool_size=3)
    calls = [driver.states([JobKey("q", "1")]) for _ in range(30)]
    assert await asyncio.gather(*calls) == [[None]] * 30
    query = "select count(*) from pg_stat_activity where application_name = 'stoker'"
    assert await raw.fetchval(query) == 3


async def test_a_user_s_pool_runs_jobs_and_wakes_workers(
    server: PostgresServer, schema: str
) -> None:
    async with opened(server, schema, KINDS["a user's, with nothing prepared"]) as driver:
        await driver.wait(["q"], HOUR)
        while await driver.wait(["q"], timedelta(0)):
            pass
        waiting = asyncio.create_task(driver.wait(["q"], HOUR))
        await driver.enqueue([NewJob(JobKey("q", "1"), "a.b")])
        async with asyncio.timeout(10):
            assert await waiting
        [lease] = (await driver.claim([Want("q", 1)], worker="w", lease=HOUR)).leases
        async with driver.transaction(lease=HOUR) as connection:
            await driver.settle_in(connection, Settlement(lease.token, Complete()))
        assert await driver.states([JobKey("q", "1")]) == [JobState.COMPLETED]
