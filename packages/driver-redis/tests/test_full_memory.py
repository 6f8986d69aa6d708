"""A server whose memory is full takes no new jobs, and lets the ones that it has come to an end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from stoker.driver import (
    IMMEDIATELY,
    After,
    At,
    Complete,
    ExtendStatus,
    Extension,
    JobKey,
    Lease,
    NewJob,
    Outcome,
    Release,
    Retention,
    Retry,
    Settlement,
    SettleStatus,
    Unique,
    Want,
)
from stoker.driver.times import from_micros
from stoker.errors import DriverUnavailable
from stoker_redis import RedisDriver

QUEUE = "letters"
MINUTE = timedelta(minutes=1)
NOW = from_micros(1_900_000_000_000_000)
LATER = NOW + 2 * MINUTE

Change = Callable[[str, str], None]
Operation = Callable[[RedisDriver], Awaitable[Any]]


def key(id_: str) -> JobKey:
    return JobKey(QUEUE, id_)


def new(id_: str, **options: Any) -> NewJob:
    return NewJob(key(id_), "mails.send", **options)


async def fill(driver: RedisDriver) -> list[Lease]:
    """Leave jobs in every state that is no end; return those that run."""
    await driver.enqueue([new(f"run{n}", max_attempts=2) for n in range(4)], now=NOW)
    claimed = await driver.claim([Want(QUEUE, 4)], worker="w", lease=MINUTE, now=NOW)
    await driver.enqueue([new("ready"), new("later", run_at=After(MINUTE))], now=NOW)
    await driver.put_schedule(QUEUE, "daily", b"{}", At(NOW), now=NOW)
    return claimed.leases


@pytest.fixture
async def running(driver: RedisDriver, settings: Change) -> Sequence[Lease]:
    """What runs when the memory is full."""
    leases = await fill(driver)
    settings("maxmemory", "1mb")
    return leases


async def test_leases_are_extended(driver: RedisDriver, running: Sequence[Lease]) -> None:
    items = [Extension(lease.token, progress=b"1", logs=[b"2"]) for lease in running]
    answers = await driver.extend(items, lease=2 * MINUTE, now=NOW)
    assert [answer.status for answer in answers] == [ExtendStatus.EXTENDED] * 4


async def test_runs_end_whatever_they_lead_to(
    driver: RedisDriver, running: Sequence[Lease]
) -> None:
    outcomes: list[Outcome] = [
        Complete(b"1"),
        Retry(IMMEDIATELY, b"2"),
        Retry(After(MINUTE), b"2"),
        Release(IMMEDIATELY),
    ]
    for lease, outcome in zip(running, outcomes, strict=True):
        [answer] = await driver.settle([Settlement(lease.token, outcome)], now=NOW)
        assert answer.status is SettleStatus.APPLIED


async def test_jobs_are_promoted_and_claimed(driver: RedisDriver, running: Sequence[Lease]) -> None:
    assert (await driver.promote([QUEUE], limit=9, now=LATER)).count == 1
    claimed = await driver.claim([Want(QUEUE, 9)], worker="w", lease=MINUTE, now=LATER)
    assert {lease.token.key.id for lease in claimed.leases} == {"ready", "later"}


@pytest.mark.parametrize("delay", [timedelta(0), MINUTE], ids=["at once", "later"])
async def test_expired_leases_end(
    driver: RedisDriver, running: Sequence[Lease], delay: timedelta
) -> None:
    ended = await driver.reap([QUEUE], limit=9, delay=delay, error=b"{}", now=LATER)
    assert len(ended) == len(running)


async def test_a_worker_that_starts_opens_the_store(
    driver: RedisDriver, running: Sequence[Lease]
) -> None:
    another = driver.clone()
    await another.open()
    claimed = await another.claim([Want(QUEUE, 9)], worker="w", lease=MINUTE, now=NOW)
    assert len(claimed.leases) == 1
    await another.close()


async def test_an_operator_may_do_whatever_frees_memory(
    driver: RedisDriver, running: Sequence[Lease]
) -> None:
    await driver.pause(QUEUE, True)
    await driver.pause(QUEUE, False)
    await driver.reschedule([key("ready")], After(MINUTE), now=NOW)
    await driver.reschedule([key("later")], IMMEDIATELY, now=NOW)
    await driver.cancel([key("ready"), running[0].token.key], reason="full", now=NOW)
    await driver.retry([key("ready")], now=NOW)
    await driver.announce("w", [QUEUE], MINUTE, b"{}", now=NOW)
    await driver.withdraw("w")
    await driver.purge(QUEUE, Retention(), limit=9, now=NOW)
    await driver.remove([key("ready"), running[1].token.key])
    await driver.remove_schedule(QUEUE, "daily")


@pytest.mark.parametrize(
    "operation",
    [
        lambda driver: driver.enqueue([new("a")], now=NOW),
        lambda driver: driver.enqueue([new("a", unique=Unique("k"))], now=NOW),
        lambda driver: driver.put_schedule(QUEUE, "hourly", b"{}", At(NOW), now=NOW),
    ],
    ids=["a job", "a job with a unique key", "a schedule"],
)
async def test_nothing_new_is_stored(
    driver: RedisDriver, running: Sequence[Lease], operation: Operation
) -> None:
    with pytest.raises(DriverUnavailable) as caught:
        await operation(driver)
    assert not caught.value.maybe_applied
    assert await driver.states([key("a")]) == [None]
    assert len((await driver.list_schedules([QUEUE], now=NOW)).schedules) == 1


async def test_a_schedule_waits(driver: RedisDriver, running: Sequence[Lease]) -> None:
    [before] = (await driver.list_schedules([QUEUE], now=NOW)).schedules
    with pytest.raises(DriverUnavailable):
        await driver.fire_schedule(QUEUE, "daily", before.version, LATER, [new("a")], now=NOW)
    assert (await driver.list_schedules([QUEUE], now=NOW)).schedules == [before]
