"""A driver that does everything that the contract allows, and nothing more.

A case that is red for it demands more than the contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Final, TypeVar

from stoker.driver import (
    After,
    At,
    Changed,
    Claimed,
    DriverInfo,
    Enqueued,
    Extended,
    Extension,
    Fired,
    JobKey,
    JobQuery,
    NewJob,
    Page,
    Promoted,
    QueueStats,
    Reaped,
    Release,
    Retry,
    Settled,
    Settlement,
    Snooze,
    Wake,
    Want,
    When,
    resolve,
    to_micros,
)
from stoker.driver.times import from_micros
from stoker_memory import MemoryDriver

T = TypeVar("T")

PRECISION: Final = timedelta(milliseconds=1)


class LegalAdversary(MemoryDriver):
    """Does as little as it may, in any order, at odd moments, with coarse times; seeded."""

    def __init__(self, url: str = "memory://", seed: int = 0) -> None:
        super().__init__(url)
        self._random = Random(seed)

    @property
    def info(self) -> DriverInfo:
        return replace(super().info, name="adversary", time_precision=PRECISION)

    # As little as it may

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        fewer = [replace(want, limit=self._fewer(want.limit)) for want in wants]
        await self._dally()
        lease = _length(lease, now)
        claimed = await super().claim(fewer, worker=worker, lease=lease, now=now)
        await self._dally()
        return replace(claimed, leases=self._shuffled(claimed.leases))

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        return await super().promote(queues, limit=self._fewer(limit), now=now)

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        await self._dally()
        limit, delay = self._fewer(limit), _length(delay, now)
        reaped = await super().reap(queues, limit=limit, delay=delay, error=error, now=now)
        return self._shuffled(reaped)

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        again = "again:"
        real = cursor.removeprefix(again) if cursor else cursor
        if cursor == real and self._random.random() < 0.3:
            await super().search(queue, query, real or None)
            return Page([], again + (real or ""))
        if query.limit <= 1_000:
            query = replace(query, limit=self._fewer(query.limit))
        return await super().search(queue, query, real or None)

    async def queues(self) -> list[str]:
        return self._shuffled([*await super().queues(), "of old"])

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        await self._dally()
        stats = await super().stats(queues, cap=cap, now=now)
        return dict(self._shuffled(list(stats.items())))

    # At odd moments

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        whim = self._random.random()
        if whim < 0.2:
            await super().queues()  # a closed driver says so
            await asyncio.sleep(0)
            return self._random.choice([Wake.WORK, Wake.CANCEL, Wake.WORK | Wake.CANCEL])
        wake = await super().wait(queues, timeout)
        return Wake.NOTHING if whim < 0.25 and self._known(queues) else wake

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        await self._dally()
        return await super().cancel(keys, reason=reason, now=now)

    # With coarse times

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        coarse = [_coarse_job(job, now) for job in jobs]
        await self._dally()
        return await super().enqueue(coarse, now=now)

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        return await super().extend(items, lease=_length(lease, now), now=now)

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        coarse = [
            replace(item, outcome=replace(item.outcome, when=_coarse(item.outcome.when, now)))
            if isinstance(item.outcome, Retry | Release | Snooze)
            else item
            for item in items
        ]
        await self._dally()
        return await super().settle(coarse, now=now)

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        return await super().reschedule(keys, _coarse(when, now), now=now)

    async def fire_schedule(
        self,
        queue: str,
        name: str,
        expected_version: int,
        next_at: datetime | None,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> Fired:
        coarse = [_coarse_job(job, now) for job in jobs]
        await self._dally()
        return await super().fire_schedule(queue, name, expected_version, next_at, coarse, now=now)

    # Whims

    def _fewer(self, limit: int) -> int:
        return self._random.randint(1, limit) if limit > 1 else limit

    def _shuffled(self, items: list[T]) -> list[T]:
        return self._random.sample(items, len(items))

    async def _dally(self) -> None:
        """Let others go first."""
        for _ in range(self._random.randint(0, 3)):
            await asyncio.sleep(0)

    def _known(self, queues: Sequence[str]) -> bool:
        """Whether this client has waited for these queues before."""
        known = self.__dict__.setdefault("_waited", set())
        new = set(queues) - known
        known |= new
        return not new


def _coarse(when: When, now: datetime | None) -> When:
    """Round a time up to the precision, as the store does."""
    if now is None or (isinstance(when, At) and when.time.tzinfo is None):
        return when
    if isinstance(when, After) and when.delay < timedelta(0):
        return when
    return At(from_micros(resolve(when, to_micros(now), PRECISION // timedelta(microseconds=1))))


def _length(length: timedelta, now: datetime | None) -> timedelta:
    """Round the end of a lease or a delay up to the precision."""
    if now is None or length <= timedelta(0):
        return length
    end = _coarse(After(length), now)
    return end.time - now if isinstance(end, At) else length


def _coarse_job(job: NewJob, now: datetime | None) -> NewJob:
    unique = job.unique
    if unique is not None and isinstance(unique.until, After | At):
        unique = replace(unique, until=_coarse(unique.until, now))
    expires = job.expires and _coarse(job.expires, now)
    return replace(job, run_at=_coarse(job.run_at, now), expires=expires, unique=unique)
