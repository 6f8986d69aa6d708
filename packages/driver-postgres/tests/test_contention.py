"""Transactions that meet: one waits, and neither is a victim."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tools.servers.postgres import PostgresServer

from stoker import Router, Stoker
from stoker.driver import (
    After,
    Complete,
    EnqueueStatus,
    JobKey,
    JobState,
    Lease,
    NewJob,
    Outcome,
    Promoted,
    Retry,
    Settlement,
    SettleStatus,
    Unique,
    Want,
)
from stoker.errors import DriverUnavailable
from stoker_postgres import PostgresDriver

LEASE = timedelta(minutes=1)
NOW = After(timedelta(0))
NOON = datetime(2031, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
async def other(server: PostgresServer) -> AsyncIterator[Any]:
    """Another user's connection."""
    connection = await asyncpg.connect(server.url)
    yield connection
    await connection.close()


async def someone_waits_for(holder: Any, observer: Any) -> None:
    """Return when a session waits for a lock of the holder's."""
    query = "select count(*) from pg_stat_activity where $1::integer = any(pg_blocking_pids(pid))"
    async with asyncio.timeout(10):
        while not await observer.fetchval(query, holder.get_server_pid()):
            pass


async def claimed(driver: PostgresDriver, *jobs: NewJob) -> list[Lease]:
    """Store jobs, and claim them."""
    await driver.enqueue(jobs)
    return (await driver.claim([Want("q", len(jobs))], worker="w", lease=LEASE)).leases


def job(name: str, key: str | None = None) -> NewJob:
    """Return a job, with a unique key if one is given."""
    return NewJob(JobKey("q", name), "a.b", unique=None if key is None else Unique(key))


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Complete(), JobState.COMPLETED), (Retry(NOW, b'"an error"'), JobState.FAILED)],
)
async def test_a_settlement_waits_for_whoever_changes_the_job_and_is_applied(
    driver: PostgresDriver,
    schema: str,
    raw: Any,
    other: Any,
    outcome: Outcome,
    state: JobState,
) -> None:
    [lease] = await claimed(driver, job("1"))
    transaction = other.transaction()
    await transaction.start()
    await other.execute(f"update {schema}.jobs set progress = '1'")
    settling = asyncio.create_task(driver.settle([Settlement(lease.token, outcome)]))
    await someone_waits_for(other, raw)
    await transaction.commit()
    assert [settled.status for settled in await settling] == [SettleStatus.APPLIED]
    [record] = await driver.get([lease.token.key])
    assert record is not None
    assert (record.state, record.progress) == (state, b"1")  # what was waited for is kept


@pytest.mark.parametrize("outcome", [Complete(), Retry(NOW, b'"an error"')])
async def test_a_settlement_that_waited_for_the_end_of_the_lease_is_stale(
    driver: PostgresDriver, schema: str, raw: Any, other: Any, outcome: Outcome
) -> None:
    [lease] = await claimed(driver, job("1"))
    transaction = other.transaction()
    await transaction.start()
    await other.execute(f"update {schema}.jobs set state = 'ready', expires_at = null")
    settling = asyncio.create_task(driver.settle([Settlement(lease.token, outcome)]))
    await someone_waits_for(other, raw)
    await transaction.commit()
    assert [settled.status for settled in await settling] == [SettleStatus.STALE]


async def test_an_enqueue_waits_for_keys_that_are_being_freed_and_takes_them(
    driver: PostgresDriver, raw: Any, other: Any
) -> None:
    """Settling frees keys in the order of the jobs, and an enqueue takes them in another one.

    The enqueue holds `a` and waits for `b`; the settlement goes on to free `c`, and waits for
    nobody: whoever wants a key that is held does not lock it.
    """
    first, second = await claimed(driver, job("1", "b"), job("2", "c"))
    transaction = other.transaction()
    await transaction.start()
    await driver.settle_in(other, Settlement(first.token, Complete()))
    wanted = [job("3", "a"), job("4", "b"), job("5", "c")]
    enqueueing = asyncio.create_task(driver.enqueue(wanted))
    await someone_waits_for(other, raw)
    await driver.settle_in(other, Settlement(second.token, Complete()))
    await transaction.commit()
    stored = [answer.status for answer in await enqueueing]
    assert stored == [EnqueueStatus.INSERTED] * 3


FAILING = """
create sequence {schema}.attempts;
create function {schema}.fail() returns trigger language plpgsql as $$
begin
    if nextval('{schema}.attempts') <= 2 then
        raise exception 'no luck' using errcode = '{state}';
    end if;
    return null;
end
$$;
create trigger failing after {event} on {schema}.jobs
for each row execute function {schema}.fail();
"""
"""A sequence is not rolled back, so two attempts fail and the third does not."""


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("40P01", asyncpg.DeadlockDetectedError),
        ("40001", asyncpg.SerializationError),
        ("55P03", asyncpg.LockNotAvailableError),
        ("57014", asyncpg.QueryCanceledError),
        ("53200", asyncpg.OutOfMemoryError),
    ],
)
async def test_what_the_server_gave_up_may_be_sent_again(
    driver: PostgresDriver, schema: str, raw: Any, state: str, error: type[Exception]
) -> None:
    [lease] = await claimed(driver, job("1"))
    items = [Settlement(lease.token, Complete())]
    await raw.execute(FAILING.format(schema=schema, state=state, event="update or delete"))
    for _ in range(2):
        with pytest.raises(DriverUnavailable) as caught:
            await driver.settle(items)
        assert isinstance(caught.value.__cause__, error)
        assert not caught.value.maybe_applied
    assert [settled.status for settled in await driver.settle(items)] == [SettleStatus.APPLIED]


@pytest.mark.parametrize("state", ["40P01", "40001"])
@pytest.mark.parametrize("event", ["insert", "update or delete"])
async def test_the_core_tries_again_after_a_deadlock(
    server: PostgresServer, driver: PostgresDriver, schema: str, raw: Any, state: str, event: str
) -> None:
    """Scheduling meets two of them, or claim and settlement do; the job runs once and is done."""
    await raw.execute(FAILING.format(schema=schema, state=state, event=event))
    runs: list[int] = []
    router = Router("q")

    @router.job
    async def work(number: int) -> None:
        runs.append(number)

    async with Stoker(
        PostgresDriver(server.url, schema=schema), jobs=[router], autostart_worker=True
    ) as app:
        handle = await app.schedule(work, 7)
        await handle.result(timeout=30)
    assert runs == [7]
    assert await raw.fetchval(f"select last_value from {schema}.attempts") > 2


async def test_a_promote_says_that_a_due_job_is_left_which_somebody_holds(
    driver: PostgresDriver, schema: str, other: Any
) -> None:
    soon = [replace(job(name), run_at=After(timedelta(0.0001))) for name in ("1", "2")]
    await driver.enqueue([*soon, replace(job("3"), run_at=After(timedelta(1)))], now=NOON)
    later = NOON + timedelta(hours=12)
    async with other.transaction():
        await other.execute(f"select from {schema}.jobs where id = '1' for update")
        promoted = await driver.promote(["q"], limit=10, now=later)
        assert promoted == Promoted(1, timedelta(0))
    promoted = await driver.promote(["q"], limit=10, now=later)
    assert promoted == Promoted(1, timedelta(hours=12))
