"""Stores behind the server that lose something when it is killed; for saboteurs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

from networked.stores import DurableStore, VolatileStore
from stoker.driver import (
    Claimed,
    JobState,
    QueueStats,
    Settled,
    Settlement,
    SettleStatus,
    Want,
)

__all__ = ["EpochsFromOne", "PausesInMemory", "WritesLater"]

_MOMENT = 0.02


class EpochsFromOne(VolatileStore):
    """With each life of the server epochs begin at one."""

    first_epoch = 0


class PausesInMemory(DurableStore):
    """Which queues are paused is known to the server alone."""

    paused: ClassVar[set[str]] = set()

    async def pause(self, queue: str, paused: bool) -> None:
        (self.paused.add if paused else self.paused.discard)(queue)

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        open_ones = [want for want in wants if want.queue not in self.paused]
        return await super().claim(open_ones, worker=worker, lease=lease, now=now)

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        found = await super().stats(queues, cap=cap, now=now)
        return {
            queue: replace(stats, paused=queue in self.paused) for queue, stats in found.items()
        }


class WritesLater(DurableStore):
    """Completions are answered at once, and written a moment later."""

    _writing: asyncio.Task[None] | None = None

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        before = self._writing
        self._writing = asyncio.create_task(self._write(before, items, now))
        return [Settled(SettleStatus.APPLIED, JobState.COMPLETED) for _ in items]

    async def _write(
        self,
        before: asyncio.Task[None] | None,
        items: Sequence[Settlement],
        now: datetime | None,
    ) -> None:
        if before is not None:
            await before
        await asyncio.sleep(_MOMENT)
        await super().settle(items, now=now)

    async def close(self) -> None:
        if self._writing is not None:
            await self._writing
        await super().close()
