"""Jobs inside users' transactions: what the suite cannot know of this client library."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from stoker.driver import Complete, JobKey, JobState, Lease, NewJob, Settlement, Want
from stoker.errors import DriverUnavailable, InvalidInput
from stoker_postgres import PostgresDriver

LEASE = timedelta(minutes=1)
KEY = JobKey("q", "1")
JOB = NewJob(KEY, "a.b")


async def claimed(driver: PostgresDriver) -> Lease:
    """Store a job, and claim it."""
    await driver.enqueue([JOB])
    [lease] = (await driver.claim([Want("q", 1)], worker="w", lease=LEASE)).leases
    return lease


async def test_a_connection_of_another_library_is_refused(driver: PostgresDriver) -> None:
    with pytest.raises(InvalidInput, match="asyncpg"):
        await driver.enqueue_in(object(), [JOB])


async def test_an_aborted_transaction_says_so_itself(driver: PostgresDriver, raw: Any) -> None:
    transaction = raw.transaction()
    await transaction.start()
    with pytest.raises(asyncpg.DivisionByZeroError):
        await raw.execute("select 1 / 0")
    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await driver.enqueue_in(raw, [JOB])
    await transaction.rollback()
    assert await driver.states([KEY]) == [None]


async def swallow_an_error(driver: PostgresDriver) -> None:
    """Go on after an error in a block, as if the transaction were still alive."""
    async with driver.transaction(lease=LEASE) as connection:
        await driver.enqueue_in(connection, [JOB])
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.execute("select 1 / 0")


async def test_a_swallowed_error_is_no_commit(driver: PostgresDriver) -> None:
    with pytest.raises(DriverUnavailable) as caught:
        await swallow_an_error(driver)
    assert not caught.value.maybe_applied
    assert await driver.states([KEY]) == [None]


async def test_a_block_is_read_committed_whatever_the_default_is(
    driver: PostgresDriver, raw: Any
) -> None:
    await raw.execute("set default_transaction_isolation = 'serializable'")
    async with driver.transaction(raw, lease=LEASE):
        assert await raw.fetchval("show transaction_isolation") == "read committed"


async def test_a_block_takes_what_it_set_with_it(driver: PostgresDriver) -> None:
    async with driver.transaction(lease=LEASE) as connection:
        await connection.execute("set search_path = nowhere")
    async with driver.transaction(lease=LEASE) as connection:
        assert await connection.fetchval("show search_path") != "nowhere"


async def test_after_the_completion_a_transaction_may_be_idle_for_seconds_only(
    driver: PostgresDriver, raw: Any
) -> None:
    lease = await claimed(driver)
    async with driver.transaction(raw, lease=LEASE):
        await driver.settle_in(raw, Settlement(lease.token, Complete()))
        assert await raw.fetchval("show idle_in_transaction_session_timeout") == "5s"
    assert await raw.fetchval("show idle_in_transaction_session_timeout") == "0"


async def test_many_blocks_leave_connections_to_the_heartbeats(driver: PostgresDriver) -> None:
    lease = await claimed(driver)
    inside = asyncio.Semaphore(0)
    go = asyncio.Event()

    async def block() -> None:
        async with driver.transaction(lease=LEASE):
            inside.release()
            await go.wait()

    blocks = [asyncio.create_task(block()) for _ in range(12)]
    async with asyncio.timeout(10):
        for _ in range(8):
            await inside.acquire()
        assert await driver.states([lease.token.key]) == [JobState.RUNNING]
        go.set()
        await asyncio.gather(*blocks)
