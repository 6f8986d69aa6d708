"""The end of a history: everything is brought to its end, and looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from stoker.driver import Complete, Driver, JobKey, JobRecord, Settlement, Want
from stoker.driver.batches import batches, size_of_settlement
from stoker.errors import DriverUnavailable
from stoker_conformance.history.chaos import Clock
from stoker_conformance.history.events import Operation

__all__ = ["PAUSE", "bring_to_an_end", "keys_sent"]

_LIMIT: Final = 500
_ROUNDS: Final = 2_000
"""What comes back again and again is given up then, and left to the checker."""
_ATTEMPTS: Final = 100
PAUSE: Final = timedelta(milliseconds=10)
"""The least that a round without motion takes, with the store's clock."""


def keys_sent(operations: Iterable[Operation]) -> list[JobKey]:
    """Return the key of every job that anybody has sent."""
    sent = (job.key for one in operations if one.name == "enqueue" for job in one.arguments["jobs"])
    return list(dict.fromkeys(sent))


async def bring_to_an_end(
    driver: Driver,
    queues: Sequence[str],
    keys: Sequence[JobKey],
    *,
    clock: Clock,
    lease: timedelta,
    patience: int,
) -> int:
    """Run all that is left, until all jobs have ended or nothing moves any more.

    Args:
        driver: a recorded client; nobody else is at work.
        queues: all queues; they are resumed.
        keys: of all jobs.
        clock: gives a `now` that is later each time, or `None`.
        lease: no lease of the history is longer.
        patience: how many rounds without any motion are enough. With the store's clock a round
            takes at least `PAUSE`, in which leases come closer to their end.

    Returns:
        How many jobs have not ended. At last everything is counted, and looked at before and
        after that.
    """
    for queue in queues:
        await _resume(driver, queue)
    left, idle = list(keys), 0
    for _ in range(_ROUNDS):
        now = clock()
        try:
            if await _work_once(driver, queues, lease, now):
                idle = 0
                continue
            left = await _unfinished(driver, left)
        except DriverUnavailable:  # a round like any other in which nothing moved
            left = list(keys)
        idle += 1
        if not left or idle > patience:
            break
        await asyncio.sleep(PAUSE.total_seconds() if now is None else 0)
    await _unfinished(driver, keys)
    await driver.stats(queues, cap=1_000_000, now=clock())
    return len(await _unfinished(driver, keys))


async def _resume(driver: Driver, queue: str) -> None:
    """Resume a queue; a store may be away for a moment, as after the kill of a client."""
    for attempt in count():
        try:
            await driver.pause(queue, False)
        except DriverUnavailable:
            if attempt == _ATTEMPTS:
                raise
            await asyncio.sleep(PAUSE.total_seconds())
        else:
            return


async def _work_once(
    driver: Driver, queues: Sequence[str], lease: timedelta, now: datetime | None
) -> bool:
    """Promote, reap, claim and complete once; return whether anything moved."""
    promoted = await driver.promote(queues, limit=_LIMIT, now=now)
    zero = timedelta(0)
    reaped = await driver.reap(queues, limit=_LIMIT, delay=zero, error=b'"lost"', now=now)
    wants = [Want(queue, _LIMIT) for queue in queues]
    claimed = await driver.claim(wants, worker="last", lease=lease, now=now)
    items = [Settlement(one.token, Complete()) for one in claimed.leases]
    for some in batches(items, size_of_settlement, driver.info):
        await driver.settle(some, now=now)
    return bool(promoted.count or reaped or items)


async def _unfinished(driver: Driver, keys: Sequence[JobKey]) -> list[JobKey]:
    """Return the jobs that are there and have not ended."""
    records: list[JobRecord | None] = []
    for start in range(0, len(keys), driver.info.max_batch):
        records += await driver.get(keys[start : start + driver.info.max_batch])
    return [record.key for record in records if record is not None and not record.is_terminal]
