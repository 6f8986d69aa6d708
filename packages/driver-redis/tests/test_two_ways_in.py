"""Jobs without unique keys have a script of their own, which stores what the other one stores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from stoker.driver import (
    IMMEDIATELY,
    After,
    At,
    Enqueued,
    JobKey,
    JobQuery,
    KeepFor,
    NewJob,
    Want,
    to_micros,
)
from stoker_redis import RedisDriver, _enqueue

QUEUE = "letters"
NOW = datetime(2031, 3, 14, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def batch(random: Random) -> list[NewJob]:
    """Return jobs of which some have the id, and the nonce, of another one."""
    return [
        NewJob(
            JobKey(QUEUE, random.choice("abcdefghijkl")),
            "mails.send",
            payload=str(random.random()).encode(),
            run_at=random.choice(
                [IMMEDIATELY, IMMEDIATELY, After(MINUTE), At(NOW), At(NOW + MINUTE)]
            ),
            priority=random.choice([4, 4, 4, 0, 9]),
            max_attempts=random.randint(1, 3),
            keep=random.choice([None, KeepFor(completed=timedelta(0))]),
            tags=random.choice([(), ("tag",)]),
            nonce=random.choice(["", "mine", "other"]),
        )
        for _ in range(random.randint(1, 6))
    ]


async def by_the_other(
    driver: RedisDriver, jobs: Sequence[NewJob], now: datetime
) -> list[Enqueued]:
    store = driver._store
    assert store is not None
    await store.register([QUEUE])
    args: list[bytes | str | int] = [to_micros(now), *_enqueue.job_args(jobs)]
    [reply] = await store.run([store.call(_enqueue._ENQUEUE_UNIQUE, QUEUE, args)])
    return _enqueue.answers(len(jobs), reply)


async def seen(driver: RedisDriver, now: datetime) -> list[Any]:
    """Return what can be seen of a queue."""
    page = await driver.search(QUEUE, JobQuery(limit=100))
    return [page.records, await driver.stats([QUEUE], now=now)]


@pytest.mark.parametrize("seed", range(20))
async def test_both_store_the_same(
    driver: RedisDriver, server: Any, prefix: str, seed: int
) -> None:
    random = Random(seed)
    other = RedisDriver(server.url, prefix=f"{prefix}-other")
    await other.open()
    try:
        for minute in range(6):
            now = NOW + minute * MINUTE / 2
            jobs = batch(random)
            assert await driver.enqueue(jobs, now=now) == await by_the_other(other, jobs, now)
            assert await seen(driver, now) == await seen(other, now)
        for one in (driver, other):
            await one.promote([QUEUE], limit=100, now=NOW + 9 * MINUTE)
        claims = [
            await one.claim([Want(QUEUE, 99)], worker="w", lease=MINUTE, now=NOW + 9 * MINUTE)
            for one in (driver, other)
        ]
        first, second = ([(x.token.key, x.payload, x.run_at) for x in y.leases] for y in claims)
        assert first == second
        assert first
    finally:
        await other.close()
