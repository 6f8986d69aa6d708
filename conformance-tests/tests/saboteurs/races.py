"""Defects of operations that read, and write later what they have read: only a race shows them.

Each lets the loop turn between its read and its write, where a driver would wait for its store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from saboteurs.claiming import _OwnEpochs
from stoker.driver import (
    IMMEDIATELY,
    Claimed,
    Enqueued,
    EnqueueStatus,
    Extension,
    JobRecord,
    JobState,
    Lease,
    NewJob,
    QueueStats,
    Reaped,
    Release,
    Settled,
    Settlement,
    SettleStatus,
    Token,
    Want,
)

_INSERTED = Enqueued(EnqueueStatus.INSERTED)


async def _others_come_in_between() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


@saboteur("HIS-01")
class ClaimReadsThenWrites(Saboteur):
    """A claim selects ready jobs, and updates them by their ids: `where id = any(...)`."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        seen = {want.queue: await self.everything(want.queue, JobState.READY) for want in wants}
        await _others_come_in_between()
        for want in wants:
            for record in seen[want.queue][: want.limit]:
                await self._take_back(record, now)
        return await super().claim(wants, worker=worker, lease=lease, now=now)

    async def _take_back(self, seen: JobRecord, now: datetime | None) -> None:
        """Make ready again what somebody has claimed since."""
        record = await self.record(seen.key)
        if record is not None and record.state is JobState.RUNNING:
            stop = Settlement(Token(record.key, record.epoch), Release(IMMEDIATELY))
            await super().settle([stop], now=now)


@saboteur("HIS-01")
class ReapReadsThenWrites(Saboteur):
    """A reap selects expired leases, and ends them even if they were extended since."""

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        for queue in queues:
            for record in await self.everything(queue, JobState.RUNNING):
                if now is not None and record.expires_at and record.expires_at <= now:
                    await _others_come_in_between()
                    again = Extension(Token(record.key, record.epoch))
                    long_ago = now - timedelta(minutes=1)
                    await super().extend([again], lease=timedelta(seconds=1), now=long_ago)
        return await super().reap(queues, limit=limit, delay=delay, error=error, now=now)


@saboteur("HIS-01", "RPR-01")
class SettleReadsThenWrites(Saboteur):
    """A settlement compares the epoch first, and is then applied whatever has come since."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        found_valid = [await self._is_valid(item.token) for item in items]
        await _others_come_in_between()
        answers = await super().settle(items, now=now)
        return [
            Settled(SettleStatus.APPLIED, JobState.COMPLETED)
            if valid and answer.status in (SettleStatus.STALE, SettleStatus.GONE)
            else answer
            for valid, answer in zip(found_valid, answers, strict=True)
        ]

    async def _is_valid(self, token: Token) -> bool:
        record = await self.record(token.key)
        return record is not None and (record.state, record.epoch) == (
            JobState.RUNNING,
            token.epoch,
        )


@saboteur("HIS-01")
class EnqueueReadsThenWrites(Saboteur):
    """An enqueue looks whether an id exists, and inserts it if it did not, ignoring conflicts."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        missing = [await self.record(job.key) is None for job in jobs]
        await _others_come_in_between()
        answers = await super().enqueue(jobs, now=now)
        return [
            _INSERTED if absent and answer.status is EnqueueStatus.DUPLICATE_ID else answer
            for absent, answer in zip(missing, answers, strict=True)
        ]


@saboteur("HIS-01")
class EpochsAreReadThenWritten(_OwnEpochs):
    """The next epoch is `max(epoch) + 1`, as of a moment ago."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        self.next = self.notes["epochs"].get("last", 0)
        mine = self.next
        await _others_come_in_between()
        self.next = mine
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        self.notes["epochs"]["last"] = self.next
        return claimed

    def epoch_of(self, lease: Lease) -> int:
        self.next += 1
        mine: int = self.next
        return mine

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        reaped = await super().reap(queues, limit=limit, delay=delay, error=error, now=now)
        ours = {strict: token for token, strict in self.notes["tokens"].items()}
        return [
            replace(one, lease=replace(one.lease, token=ours[one.lease.token])) for one in reaped
        ]


@saboteur("HIS-01")
class CountersAreReadThenWritten(Saboteur):
    """What runs is counted in a row of its own, which two claims read and write at once."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        for want in wants:
            taken = sum(one.token.key.queue == want.queue for one in claimed.leases)
            await self._count(want.queue, taken)
        return claimed

    async def _count(self, queue: str, taken: int) -> None:
        exact, counted = self.notes["exact"], self.notes["counted"]
        before = counted.get(queue, 0)
        exact[queue] = exact.get(queue, 0) + taken
        await _others_come_in_between()
        counted[queue] = before + taken

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        answer = await super().stats(queues, cap=cap, now=now)
        for queue, of_queue in answer.items():
            lost = self.notes["exact"].get(queue, 0) - self.notes["counted"].get(queue, 0)
            running = of_queue.counts[JobState.RUNNING] - lost
            counts = {**of_queue.counts, JobState.RUNNING: running}
            answer[queue] = replace(of_queue, counts=counts)
        return answer
