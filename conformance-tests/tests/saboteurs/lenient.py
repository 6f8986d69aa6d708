"""Defects of drivers that take what they have to refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    IMMEDIATELY,
    After,
    Changed,
    Enqueued,
    JobKey,
    NewJob,
    Outcome,
    Reaped,
    Retention,
    Settled,
    Settlement,
    Snooze,
    Wake,
)
from stoker.driver.checks import storable
from stoker.errors import InvalidInput


@saboteur("ENQ-14")
class BytesAreNotCounted(Saboteur):
    """A batch that is too large is sent in two halves."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        if sum(len(job.payload) for job in jobs) <= self.info.max_batch_bytes:
            return await super().enqueue(jobs, now=now)
        half = len(jobs) // 2
        return [
            *await super().enqueue(jobs[:half], now=now),
            *await super().enqueue(jobs[half:], now=now),
        ]


@saboteur("ENQ-15")
class LongReasonsAreCut(Saboteur):
    """A reason that is too long is cut to what fits."""

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        return await super().cancel(keys, reason=storable(reason), now=now)


@saboteur("ENQ-15")
class NegativeSnoozeIsNow(Saboteur):
    """A snooze by less than nothing is one by nothing."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        return await super().settle([replace(i, outcome=_late(i)) for i in items], now=now)


@saboteur("ENQ-15")
class LongErrorsAreCut(Saboteur):
    """An error that is too long is cut to what fits."""

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        error = error[: 8 * 1024]
        return await super().reap(queues, limit=limit, delay=delay, error=error, now=now)


@saboteur("WAK-08")
class AnyNumberOfWaiters(Saboteur):
    """A second waiter is let in, and takes hints away from the first."""

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        try:
            return await super().wait(queues, timeout)
        except InvalidInput:
            return Wake.NOTHING


def _late(item: Settlement) -> Outcome:
    outcome = item.outcome
    if not isinstance(outcome, Snooze) or not isinstance(outcome.when, After):
        return outcome
    return replace(outcome, when=IMMEDIATELY) if outcome.when.delay < timedelta(0) else outcome


@saboteur("ENQ-15")
class NegativeNumbersKeepNothing(Saboteur):
    """To keep the newest less than nothing is to keep nothing."""

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        failed = replace(policy.failed, newest=max(policy.failed.newest or 0, 0))
        return await super().purge(queue, replace(policy, failed=failed), limit=limit, now=now)
