"""One queue is broken; what others have handed out in the same call is not lost with it."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stoker.driver import JobKey, JobState, NewJob, Want
from stoker.errors import IncompatibleStore
from stoker_redis import RedisDriver
from stoker_redis._keys import Keys

NOW = datetime(2031, 3, 14, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
MINUTE = timedelta(minutes=1)

WHOLE, BROKEN, EMPTY = "whole", "broken", "empty"


@pytest.fixture
async def broken(driver: RedisDriver, raw: Any, prefix: str) -> RedisDriver:
    """A driver whose store has a job in one queue, and a foreign key in another."""
    await driver.enqueue([NewJob(JobKey(WHOLE, "1"), "a.b")], now=NOW)
    for part in ("due", "leases"):
        await raw.set(Keys(prefix, BROKEN).of((part,))[0].decode(), "not ours")
    return driver


@pytest.mark.parametrize("order", [(WHOLE, BROKEN), (BROKEN, WHOLE)], ids=["last", "first"])
async def test_a_claim_hands_out_what_it_has_taken(
    broken: RedisDriver, caplog: pytest.LogCaptureFixture, order: tuple[str, str]
) -> None:
    wants = [Want(queue, 9) for queue in order]
    with caplog.at_level(logging.WARNING):
        claimed = await broken.claim(wants, worker="w", lease=MINUTE, now=NOW)
    assert [lease.token.key for lease in claimed.leases] == [JobKey(WHOLE, "1")]
    assert "another type" in caplog.text


async def test_a_claim_that_has_taken_nothing_tells_what_is_wrong(broken: RedisDriver) -> None:
    wants = [Want(EMPTY, 9), Want(BROKEN, 9)]
    with pytest.raises(IncompatibleStore, match="another type"):
        await broken.claim(wants, worker="w", lease=MINUTE, now=NOW)


@pytest.mark.parametrize("order", [(WHOLE, BROKEN), (BROKEN, WHOLE)], ids=["last", "first"])
async def test_a_reap_tells_which_leases_it_has_ended(
    broken: RedisDriver, order: tuple[str, str]
) -> None:
    claimed = await broken.claim([Want(WHOLE, 1)], worker="w", lease=MINUTE, now=NOW)
    ended = await broken.reap(order, limit=9, delay=MINUTE, error=b"{}", now=LATER)
    assert [reaped.lease.token for reaped in ended] == [claimed.leases[0].token]
    assert ended[0].state is JobState.SCHEDULED
    with pytest.raises(IncompatibleStore, match="another type"):
        await broken.reap(order, limit=9, delay=MINUTE, error=b"{}", now=LATER)
