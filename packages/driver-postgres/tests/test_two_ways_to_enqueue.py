"""One job and many are stored by two statements, which have to store the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

import asyncpg
import pytest
from tools.servers.postgres import PostgresServer

from stoker.driver import After, At, EnqueueStatus, JobKey, KeepFor, NewJob
from stoker_postgres import PostgresDriver

_numbers = count(1)
NOON: Final = datetime(2031, 3, 14, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
_ROWS: Final = """
select queue, id, name, payload, payload_version, nonce, priority, max_attempts, max_crashes,
    enqueued_at, run_at, state, ready_at, expires, timeout, keep_completed, keep_failed,
    keep_cancelled, tags, metadata::text, headers, attempt, crashes, snoozes
from {schema}.jobs order by place
"""

PLAIN: Final = NewJob(JobKey("q", "0"), "a.b", b'{"n":1}')
KINDS: Final = [
    PLAIN,
    replace(PLAIN, name="é.ü", payload=b"", payload_version=7, priority=9),
    replace(PLAIN, nonce="other"),
    replace(PLAIN, run_at=After(HOUR), max_attempts=5, max_crashes=0),
    replace(PLAIN, run_at=After(timedelta(0))),
    replace(PLAIN, run_at=At(NOON + HOUR), expires=At(NOON + 2 * HOUR)),
    replace(PLAIN, run_at=At(NOON - HOUR), expires=After(HOUR), timeout=timedelta(seconds=3)),
    replace(PLAIN, keep=KeepFor(completed=timedelta(0), failed=HOUR), tags=("b", "a", "b")),
    replace(PLAIN, metadata={"a": "1\n2", "b": ""}, headers={"trace": "'\"\\\n"}),
]


def numbered(jobs: list[NewJob], *, nonces: bool) -> list[NewJob]:
    """Give each an id of its own, and a nonce that is the id, as the core does."""
    return [
        replace(job, key=JobKey("q", str(n)), nonce=job.nonce or (str(n) if nonces else ""))
        for n, job in enumerate(jobs)
    ]


async def stored(url: str, jobs: list[NewJob], *, at_once: int) -> list[Any]:
    """Store jobs, so many at once, and return the rows in the order of their places."""
    schema = f"alike_{next(_numbers)}"
    driver, raw = PostgresDriver(url, schema=schema), await asyncpg.connect(url)
    await driver.open()
    try:
        for first in range(0, len(jobs), at_once):
            answers = await driver.enqueue(jobs[first : first + at_once], now=NOON)
            assert {answer.status for answer in answers} == {EnqueueStatus.INSERTED}
        return [tuple(row) for row in await raw.fetch(_ROWS.format(schema=schema))]
    finally:
        await driver.close()
        await raw.close()


@pytest.mark.parametrize("nonces", [False, True])
async def test_jobs_are_stored_alike_one_by_one_and_together(
    server: PostgresServer, nonces: bool
) -> None:
    jobs = numbered(KINDS, nonces=nonces)
    one_by_one = await stored(server.url, jobs, at_once=1)
    assert one_by_one == await stored(server.url, jobs, at_once=len(jobs))
    assert one_by_one == await stored(server.url, jobs, at_once=2)
    assert len(one_by_one) == len(jobs)


@pytest.mark.parametrize("kind", KINDS)
async def test_jobs_that_are_all_alike_are_stored_as_they_are_alone(
    server: PostgresServer, kind: NewJob
) -> None:
    jobs = numbered([kind] * 3, nonces=False)
    assert await stored(server.url, jobs, at_once=3) == await stored(server.url, jobs, at_once=1)
