"""Operations that wait together are committed together, and do not harm each other."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from stoker.driver import (
    ChangeStatus,
    EnqueueStatus,
    ExtendStatus,
    Extension,
    JobKey,
    JobQuery,
    NewJob,
    Want,
)
from stoker.errors import DriverUnavailable, InvalidInput
from stoker_sqlite import SqliteDriver
from stoker_sqlite._connection import BUSY_SECONDS
from stoker_sqlite._transaction import Transaction

LEASE = timedelta(seconds=30)


def job(number: int) -> NewJob:
    return NewJob(JobKey("q", f"{number:04}"), "a.b")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's write lock, as a user's open transaction does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("begin immediate")
        yield
        raw.execute("rollback")


async def commits(driver: SqliteDriver) -> list[str]:
    """Return a list that grows by an entry for every transaction that is begun."""
    assert driver._client is not None
    begun: list[str] = []

    def trace(sql: str) -> None:
        if sql.startswith("begin"):
            begun.append(sql)

    await driver._client.writer._connection.set_trace_callback(trace)
    return begun


async def test_enqueues_that_wait_together_share_a_few_transactions(driver: SqliteDriver) -> None:
    begun = await commits(driver)
    answers = await asyncio.gather(*(driver.enqueue([job(number)]) for number in range(200)))
    assert all(answer[0].status is EnqueueStatus.INSERTED for answer in answers)
    assert len(begun) < 20


async def test_a_batch_is_one_transaction(driver: SqliteDriver) -> None:
    begun = await commits(driver)
    await driver.enqueue([job(number) for number in range(1_000)])
    claimed = await driver.claim([Want("q", 100)], worker="w", lease=LEASE)
    await driver.extend([Extension(lease.token) for lease in claimed.leases], lease=LEASE)
    assert len(begun) == 3


async def test_an_error_of_one_operation_reaches_its_caller_alone(driver: SqliteDriver) -> None:
    assert driver._client is not None
    writer = driver._client.writer
    begun = await commits(driver)

    def half_done(tx: Transaction) -> None:
        tx.cursor.execute("update stoker_jobs set name = 'spoiled'")
        raise InvalidInput("no")

    def wrong(tx: Transaction) -> None:
        tx.cursor.execute("select nonsense")

    answers = await asyncio.gather(
        driver.enqueue([job(1)]),
        writer.run(half_done),
        writer.run(wrong),
        driver.enqueue([job(2)]),
        return_exceptions=True,
    )
    assert len(begun) == 1
    assert isinstance(answers[1], InvalidInput)
    assert isinstance(answers[2], DriverUnavailable)
    assert not answers[2].maybe_applied
    assert isinstance(answers[2].__cause__, sqlite3.OperationalError)
    records = await driver.get([job(1).key, job(2).key])
    assert [record and record.name for record in records] == ["a.b", "a.b"]


async def test_a_caller_that_goes_away_leaves_the_others_alone(driver: SqliteDriver) -> None:
    tasks = [asyncio.create_task(driver.enqueue([job(number)])) for number in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
    stored = await driver.states([job(number).key for number in range(1, 20, 2)])
    assert None not in stored
    assert len(await driver.enqueue([job(99)])) == 1


async def test_a_lock_that_is_held_too_long_is_told_and_nothing_is_applied(
    driver: SqliteDriver, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_sqlite._writer.BUSY_SECONDS", 0.05)
    await driver.enqueue([job(1)])
    claimed = await driver.claim([Want("q", 1)], worker="w", lease=LEASE)
    with locked(path):
        with pytest.raises(DriverUnavailable) as caught:
            await driver.enqueue([job(2)])
        extended = await driver.extend([Extension(claimed.leases[0].token)], lease=LEASE)
        cancelled = await driver.cancel([job(1).key], reason="no")
    assert not caught.value.maybe_applied
    assert extended[0].status is ExtendStatus.BUSY
    assert cancelled[0].status is ChangeStatus.BUSY
    assert await driver.states([job(2).key]) == [None]
    assert (await driver.enqueue([job(2)]))[0].status is EnqueueStatus.INSERTED


async def test_an_enqueue_waits_two_seconds_for_a_lock_at_most(
    driver: SqliteDriver, path: Path
) -> None:
    assert BUSY_SECONDS <= 2
    with locked(path):
        waiting = asyncio.create_task(driver.enqueue([job(1)]))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
    assert (await waiting)[0].status is EnqueueStatus.INSERTED


async def test_questions_are_answered_while_the_file_is_locked(
    driver: SqliteDriver, path: Path
) -> None:
    await driver.enqueue([job(1)])
    with locked(path):
        assert await driver.get([job(1).key]) != [None]
        assert len((await driver.search("q", JobQuery())).records) == 1
        assert (await driver.stats(["q"]))["q"].counts["ready"] == 1  # type: ignore[index]


async def test_a_long_question_does_not_hold_up_a_claim(driver: SqliteDriver) -> None:
    assert driver._client is not None
    await driver.enqueue([job(1)])

    def long(tx: Transaction) -> None:
        assert not claimed.is_set()
        while not claimed.is_set():
            time.sleep(0.001)
        tx.value("queues", {})

    claimed = asyncio.Event()
    asking = asyncio.create_task(driver._client.reader.run(long))
    await asyncio.sleep(0)
    taken = await driver.claim([Want("q", 1)], worker="w", lease=LEASE)
    claimed.set()
    await asking
    assert len(taken.leases) == 1


async def test_close_fails_what_still_waits_for_a_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker_sqlite._client._GRACE_SECONDS", 0.05)
    driver = SqliteDriver(path)
    await driver.open()
    with locked(path):
        first = asyncio.create_task(driver.enqueue([job(1)]))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(driver.enqueue([job(2)]))
        await asyncio.sleep(0)
        await driver.close()
    failures = await asyncio.gather(first, second, return_exceptions=True)
    assert all(isinstance(failure, DriverUnavailable) for failure in failures)
