"""What one call does to one job more than once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoker.driver import (
    After,
    Complete,
    EnqueueStatus,
    JobKey,
    JobState,
    KeepFor,
    NewJob,
    OnConflict,
    QueueStats,
    Release,
    Settlement,
    SettleStatus,
    Unique,
    Want,
)
from stoker_redis import RedisDriver

QUEUE = "letters"
NOW = datetime(2031, 3, 14, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

KEEP = Unique("key")
MOVE = Unique("key", on_conflict=OnConflict.RESCHEDULE)
REPLACE = Unique("key", on_conflict=OnConflict.REPLACE)


def new(id_: str, unique: Unique | None = None, **options: Any) -> NewJob:
    return NewJob(JobKey(QUEUE, id_), "mails.send", unique=unique, **options)


async def counts(driver: RedisDriver) -> dict[JobState, int]:
    stats: QueueStats = (await driver.stats([QUEUE], now=NOW))[QUEUE]
    return {state: count for state, count in stats.counts.items() if count}


@pytest.mark.parametrize("first", [After(timedelta(0)), After(MINUTE)], ids=["ready", "scheduled"])
@pytest.mark.parametrize("second", [After(timedelta(0)), After(MINUTE)], ids=["now", "later"])
async def test_a_holder_that_is_moved_and_then_replaced_is_in_one_place(
    driver: RedisDriver, first: After, second: After
) -> None:
    await driver.enqueue([new("holder", KEEP, run_at=first)], now=NOW)
    answers = await driver.enqueue(
        [new("a", MOVE, run_at=second), new("b", REPLACE), new("c", MOVE)], now=NOW
    )
    assert [answer.status for answer in answers] == [
        EnqueueStatus.RESCHEDULED,
        EnqueueStatus.INSERTED,
        EnqueueStatus.UNIQUE_CONFLICT,
    ]
    assert await counts(driver) == {JobState.READY: 1, JobState.CANCELLED: 1}
    claimed = await driver.claim([Want(QUEUE, 9)], worker="w", lease=MINUTE, now=NOW)
    assert [lease.token.key.id for lease in claimed.leases] == ["b"]


async def test_a_holder_that_is_moved_twice_is_where_the_last_one_put_it(
    driver: RedisDriver,
) -> None:
    await driver.enqueue([new("holder", KEEP)], now=NOW)
    away_and_back = [new("a", MOVE, run_at=After(MINUTE)), new("b", MOVE)]
    await driver.enqueue(away_and_back, now=NOW)
    assert await counts(driver) == {JobState.READY: 1}
    await driver.enqueue(list(reversed(away_and_back)), now=NOW)
    assert await counts(driver) == {JobState.SCHEDULED: 1}
    [found] = await driver.get([JobKey(QUEUE, "holder")])
    assert found is not None
    assert found.run_at == NOW + MINUTE


async def test_an_id_that_a_replacement_has_freed_is_taken_in_the_same_batch(
    driver: RedisDriver,
) -> None:
    gone = KeepFor(cancelled=timedelta(0))
    await driver.enqueue([new("holder", KEEP, keep=gone, payload=b'"old"')], now=NOW)
    answers = await driver.enqueue(
        [new("a", REPLACE), new("holder", payload=b'"new"'), new("holder")], now=NOW
    )
    assert [answer.status for answer in answers] == [
        EnqueueStatus.INSERTED,
        EnqueueStatus.INSERTED,
        EnqueueStatus.DUPLICATE_ID,
    ]
    assert await counts(driver) == {JobState.READY: 2}
    claimed = await driver.claim([Want(QUEUE, 9)], worker="w", lease=MINUTE, now=NOW)
    payloads = {lease.token.key.id: lease.payload for lease in claimed.leases}
    assert payloads == {"a": b"null", "holder": b'"new"'}


@pytest.mark.parametrize("unique", [None, KEEP], ids=["plain", "unique"])
async def test_a_request_that_is_sent_again_is_known_behind_a_duplicate(
    driver: RedisDriver, unique: Unique | None
) -> None:
    mine = new("a", unique, nonce="mine")
    await driver.enqueue([mine], now=NOW)
    answers = await driver.enqueue([new("a", unique, nonce="other"), mine, mine], now=NOW)
    assert [answer.status for answer in answers] == [
        EnqueueStatus.DUPLICATE_ID,
        EnqueueStatus.INSERTED,
        EnqueueStatus.DUPLICATE_ID,
    ]


@pytest.mark.parametrize("result", [None, b"", b'"done"'])
async def test_a_plain_completion_leaves_what_one_with_a_report_leaves(
    driver: RedisDriver, result: bytes | None
) -> None:
    """The two go different ways in the script; the second report is deleted with the first."""
    keys = [JobKey(QUEUE, "plain"), JobKey(QUEUE, "other")]
    options: dict[str, Any] = {"priority": 7, "tags": ("a",), "nonce": "nonce", "max_attempts": 3}
    await driver.enqueue([new(key.id, **options) for key in keys], now=NOW)
    claimed = await driver.claim([Want(QUEUE, 2)], worker="w", lease=MINUTE, now=NOW)
    later = NOW + MINUTE
    settled = await driver.settle(
        [
            Settlement(lease.token, Complete(result), None if lease.token.key == keys[0] else b"1")
            for lease in claimed.leases
        ],
        now=later,
    )
    assert [one.status for one in settled] == [SettleStatus.APPLIED] * 2
    plain, other = await driver.get(keys)
    assert plain is not None
    assert other is not None
    assert (plain.progress, other.progress) == (None, b"1")
    assert replace(plain, key=other.key, epoch=other.epoch, progress=b"1") == other
    assert plain.result == result
    assert plain.finished_at == later


async def test_two_tokens_of_one_job_in_one_call_are_judged_one_after_the_other(
    driver: RedisDriver,
) -> None:
    gone = KeepFor(completed=timedelta(0))
    await driver.enqueue([new("kept"), new("gone", keep=gone)], now=NOW)
    want = [Want(QUEUE, 2)]
    first = (await driver.claim(want, worker="w", lease=MINUTE, now=NOW)).leases
    back = [Settlement(lease.token, Release(After(timedelta(0)))) for lease in first]
    await driver.settle(back, now=NOW)
    second = (await driver.claim(want, worker="w", lease=MINUTE, now=NOW)).leases
    tokens = [lease.token for lease in (*second, *first)]
    settled = await driver.settle([Settlement(token, Complete()) for token in tokens], now=NOW)
    found = {
        (token.key.id, number >= 2): one.status
        for number, (token, one) in enumerate(zip(tokens, settled, strict=True))
    }
    assert found == {
        ("kept", False): SettleStatus.APPLIED,
        ("gone", False): SettleStatus.APPLIED,
        ("kept", True): SettleStatus.STALE,
        ("gone", True): SettleStatus.GONE,
    }
