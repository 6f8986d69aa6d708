"""The faulty driver: a call fails where the plan says, and nothing else is different."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.driver import (
    Complete,
    Driver,
    EnqueueStatus,
    JobKey,
    JobState,
    NewJob,
    Settlement,
    Want,
    missing_operations,
)
from stoker.errors import DriverUnavailable
from stoker_conformance.faults.faulty import OPERATIONS, FailPoint, Failures, FaultyDriver
from stoker_memory import MemoryDriver
from stoker_sqlite import SqliteDriver

LEASE = timedelta(minutes=1)
JOB = NewJob(JobKey("mails", "1"), "mails.send", nonce="once")


@pytest.fixture
def failures() -> Failures:
    return Failures()


@pytest.fixture
async def driver(failures: Failures) -> AsyncIterator[MemoryDriver]:
    inner = MemoryDriver("memory://")
    await inner.open()
    yield FaultyDriver.around(inner, failures)
    await inner.close()


async def state(driver: Driver) -> JobState | None:
    return (await driver.states([JOB.key]))[0]


@pytest.mark.parametrize(
    ("point", "expected", "maybe_applied"),
    [
        (FailPoint.REFUSED, None, False),
        (FailPoint.REQUEST_LOST, None, True),
        (FailPoint.REPLY_LOST, JobState.READY, True),
    ],
)
async def test_a_call_fails_before_or_after_it_is_applied(
    driver: MemoryDriver,
    failures: Failures,
    point: FailPoint,
    expected: JobState | None,
    maybe_applied: bool,
) -> None:
    failures.fail("enqueue", point)
    with pytest.raises(DriverUnavailable, match="enqueue") as caught:
        await driver.enqueue([JOB])

    assert caught.value.maybe_applied is maybe_applied
    assert await state(driver) is expected
    assert failures.happened["enqueue", point] == 1


async def test_only_the_nth_call_of_the_operation_fails(
    driver: MemoryDriver, failures: Failures
) -> None:
    await driver.queues()
    failures.fail("queues", FailPoint.REFUSED, nth=2)
    await driver.queues()
    await driver.states([JOB.key])
    with pytest.raises(DriverUnavailable):
        await driver.queues()
    await driver.queues()
    assert failures.calls["queues"] == 4


async def test_all_calls_fail_until_it_stops(driver: MemoryDriver, failures: Failures) -> None:
    failures.fail_always("queues", FailPoint.REFUSED)
    for _ in range(3):
        with pytest.raises(DriverUnavailable):
            await driver.queues()
    failures.stop()
    assert await driver.queues() == []


async def test_an_error_of_the_operation_itself_comes_through(
    driver: MemoryDriver, failures: Failures
) -> None:
    failures.fail("claim", FailPoint.REPLY_LOST)
    with pytest.raises(ValueError, match="-1"):
        await driver.claim([Want("mails", -1)], worker="w", lease=LEASE)


def test_a_name_that_is_no_operation_is_refused(failures: Failures) -> None:
    with pytest.raises(ValueError, match="enqeue"):
        failures.fail("enqeue", FailPoint.REFUSED)
    with pytest.raises(ValueError, match="nth"):
        failures.fail("enqueue", FailPoint.REFUSED, nth=0)


def test_it_has_what_the_other_driver_has_and_no_more(driver: MemoryDriver) -> None:
    assert missing_operations(driver) == []
    assert driver.info.name == "memory"
    assert not hasattr(driver, "enqueue_in")
    assert {"enqueue", "settle", "wait", "fire_schedule", "transaction"} < OPERATIONS
    assert "close" not in OPERATIONS


async def test_a_clone_shares_the_plan(driver: MemoryDriver, failures: Failures) -> None:
    clone = driver.clone()
    await clone.open()
    failures.fail("enqueue", FailPoint.REPLY_LOST)
    with pytest.raises(DriverUnavailable):
        await clone.enqueue([JOB])
    assert [answer.status for answer in await driver.enqueue([JOB])] == [EnqueueStatus.INSERTED]
    await clone.close()


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (FailPoint.REFUSED, JobState.RUNNING),
        (FailPoint.REQUEST_LOST, JobState.RUNNING),
        (FailPoint.REPLY_LOST, JobState.COMPLETED),
        (None, JobState.COMPLETED),
    ],
)
async def test_a_transaction_fails_at_its_commit(
    tmp_path: Path, failures: Failures, point: FailPoint | None, expected: JobState
) -> None:
    driver = FaultyDriver.around(SqliteDriver(tmp_path / "jobs.db"), failures)
    await driver.open()
    await driver.enqueue([JOB])
    claimed = await driver.claim([Want("mails", 1)], worker="w", lease=LEASE)
    if point is not None:
        failures.fail("transaction", point)
    async with AsyncExitStack() as stack:
        if point is not None:
            stack.enter_context(pytest.raises(DriverUnavailable))
        async with driver.transaction(lease=LEASE) as connection:
            await driver.settle_in(connection, Settlement(claimed.leases[0].token, Complete()))
    assert await state(driver) is expected
    await driver.close()


async def test_a_transaction_that_fails_by_itself_does_not_count(
    tmp_path: Path, failures: Failures
) -> None:
    driver = FaultyDriver.around(SqliteDriver(tmp_path / "jobs.db"), failures)
    await driver.open()
    failures.fail("transaction", FailPoint.REPLY_LOST)
    with pytest.raises(KeyError):
        async with driver.transaction(lease=LEASE):
            raise KeyError
    assert failures.calls["transaction"] == 0
    await driver.close()
