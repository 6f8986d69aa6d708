"""Defects of leases and reaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    Claimed,
    Enqueued,
    Extended,
    ExtendStatus,
    Extension,
    JobState,
    NewJob,
    Reaped,
    Settled,
    Settlement,
    Token,
    Want,
)
from stoker.driver.settlements import Release
from stoker.driver.times import IMMEDIATELY


@saboteur("LSE-03")
class LeaseUnitBug(Saboteur):
    """`lease.seconds` in place of `lease.total_seconds()`."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        lease = timedelta(seconds=max(lease.seconds, 1))
        return await super().claim(wants, worker=worker, lease=lease, now=now)


@saboteur("LSE-02", "LSE-04", "FNC-07", "HIS-01")
class ReapIgnoresExtend(Saboteur):
    """An extend is answered, but what the reaper looks at stays as it was."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        answers = await super().extend(items, lease=lease, now=now)
        first = self.notes["expiry"]
        for item, answer in zip(items, answers, strict=True):
            if answer.status is ExtendStatus.EXTENDED and now is not None:
                expires_at: datetime = first.get(item.token, now)
                rest = max(expires_at - now, timedelta(microseconds=1))
                await super().extend([Extension(item.token)], lease=rest, now=now)
        return answers

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        self.notes["expiry"] |= {one.token: one.expires_at for one in claimed.leases}
        return claimed


class _Reaper(Saboteur):
    """Changes what a reap is asked, or what it answers."""

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        reaped = await super().reap(
            queues, limit=self.limit(limit), delay=self.delay(delay), error=error, now=self.now(now)
        )
        return await self.answer(queues, reaped, now)

    def limit(self, limit: int) -> int:
        return limit

    def delay(self, delay: timedelta) -> timedelta:
        return delay

    def now(self, now: datetime | None) -> datetime | None:
        return now

    async def answer(
        self, queues: Sequence[str], reaped: list[Reaped], now: datetime | None
    ) -> list[Reaped]:
        return reaped


@saboteur("LSE-06", "LSE-03", "RPR-06")
class ReapIsEarly(_Reaper):
    """A lease is over a moment before its end."""

    def now(self, now: datetime | None) -> datetime | None:
        return now and now + timedelta(microseconds=1)


@saboteur("LSE-06", "LSE-03")
class ReapIsLate(_Reaper):
    """A lease is over only after its end: `<` in place of `<=`."""

    def now(self, now: datetime | None) -> datetime | None:
        return now and now - timedelta(microseconds=1)


@saboteur("RPR-05")
class ReapHasNoLimit(_Reaper):
    """A reap ends everything, however much it was asked for."""

    def limit(self, limit: int) -> int:
        return 1_000


@saboteur("RPR-07")
class ReapHasNoDelay(_Reaper):
    """A job that killed its worker is at once the next to run."""

    def delay(self, delay: timedelta) -> timedelta:
        return timedelta(0)


@saboteur("RPR-02", "CAN-06")
class CrashBudgetIgnored(_Reaper):
    """A poison job is handed out for ever."""

    async def answer(
        self, queues: Sequence[str], reaped: list[Reaped], now: datetime | None
    ) -> list[Reaped]:
        for number, one in enumerate(reaped):
            if one.state is JobState.FAILED:
                await self.retry([one.lease.token.key], now=now)
                reaped[number] = replace(one, state=JobState.READY)
        return reaped


@saboteur("CAN-06")
class ReapForgetsTheCancel(_Reaper):
    """A job that somebody cancelled comes back because its worker died."""

    async def answer(
        self, queues: Sequence[str], reaped: list[Reaped], now: datetime | None
    ) -> list[Reaped]:
        for number, one in enumerate(reaped):
            if one.state is JobState.CANCELLED:
                await self.retry([one.lease.token.key], now=now)
                reaped[number] = replace(one, state=JobState.READY)
        return reaped


@saboteur("RPR-04")
class ReapersShareLeases(_Reaper):
    """Who reaps while another does is told of the same leases."""

    async def answer(
        self, queues: Sequence[str], reaped: list[Reaped], now: datetime | None
    ) -> list[Reaped]:
        before = self.notes["reaped"].pop("last", None)
        if reaped:
            self.notes["reaped"]["last"] = reaped[-1]
        return [*reaped, before] if before and reaped else reaped


@saboteur("RPR-06", "RPR-01")
class ReapWithoutGuard(_Reaper):
    """A reap goes by an index of leases, and not by the state of the job."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        self.notes["index"] |= {one.token: one.expires_at for one in claimed.leases}
        return claimed

    async def answer(
        self, queues: Sequence[str], reaped: list[Reaped], now: datetime | None
    ) -> list[Reaped]:
        index = self.notes["index"]
        for token, expires_at in list(index.items()):
            if token.key.queue in queues and now is not None and expires_at <= now:
                del index[token]
                record = await self.record(token.key)
                if record and record.state is not JobState.RUNNING and record.epoch == token.epoch:
                    await self.put_back(record, now)
        return reaped


@saboteur("RPR-06")
class ReapTakesWhatRuns(_Reaper):
    """A worker that reaps takes every running job for an orphan."""

    async def answer(
        self, queues: Sequence[str], reaped: list[Reaped], now: datetime | None
    ) -> list[Reaped]:
        for queue in queues:
            for record in await self.everything(queue, JobState.RUNNING):
                stop = Settlement(Token(record.key, record.epoch), Release(IMMEDIATELY))
                await super().settle([stop], now=now)
        return reaped


@saboteur("LSE-04")
class OnlyAFewTokensAtOnce(Saboteur):
    """A statement takes 500 parameters, and the rest is answered as if it were done."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        if len(items) <= 500:
            return await super().settle(items, now=now)
        answers = await super().settle(items[:500], now=now)
        return answers + [answers[-1]] * (len(items) - 500)


@saboteur("LSE-07")
class NegativeLeasesPass(Saboteur):
    """A lease of no length is made a short one."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        lease = max(lease, timedelta(microseconds=1))
        return await super().extend(items, lease=lease, now=now)


@saboteur("ENQ-10", "RPR-02")
class CrashesAreUnlimited(Saboteur):
    """`max_crashes` is not stored."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return await super().enqueue([replace(job, max_crashes=999) for job in jobs], now=now)
