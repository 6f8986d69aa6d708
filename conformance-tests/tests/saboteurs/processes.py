"""Defects that show when a process dies, stands still, or is not the only one.

Those on SQLite are caught in real processes, those in memory by clients that are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import aiosqlite

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    Cancel,
    Claimed,
    Complete,
    DriverInfo,
    Enqueued,
    EnqueueStatus,
    Extended,
    Extension,
    Fail,
    JobQuery,
    JobState,
    NewJob,
    Scope,
    Settled,
    Settlement,
    SettleStatus,
    Token,
    Want,
)
from stoker_sqlite import SqliteDriver


@saboteur("SHP-10")
class ScopeUnderstated(SqliteDriver):
    """A store of the host that passes itself off as one of the process, and so avoids processes."""

    @property
    def info(self) -> DriverInfo:
        return replace(super().info, scope=Scope.PROCESS)


class _EnqueuesLater:
    """Keeps jobs in the client until it is closed."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        self.__dict__.setdefault("_later", []).append((jobs, now))
        return [Enqueued(EnqueueStatus.INSERTED) for _ in jobs]

    async def close(self) -> None:
        for jobs, now in self.__dict__.pop("_later", ()):
            await super().enqueue(jobs, now=now)  # type: ignore[misc] # of the driver beside it
        await super().close()  # type: ignore[misc]


@saboteur("ENQ-04")
class JobsWaitInTheClient(_EnqueuesLater, SqliteDriver):
    """Enqueue answers before the job is in the file."""


@saboteur("ENQ-04")
class JobsWaitInTheClientInMemory(_EnqueuesLater, Saboteur):
    """Enqueue answers before the job is in the store."""


class _SettlesLater:
    """Keeps settlements in the client until it is closed."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        self.__dict__.setdefault("_later", []).append((items, now))
        ends = {Complete: JobState.COMPLETED, Fail: JobState.FAILED, Cancel: JobState.CANCELLED}
        return [
            Settled(SettleStatus.APPLIED, ends.get(type(item.outcome), JobState.SCHEDULED))
            for item in items
        ]

    async def close(self) -> None:
        for items, now in self.__dict__.pop("_later", ()):
            await super().settle(items, now=now)  # type: ignore[misc] # of the driver beside it
        await super().close()  # type: ignore[misc]


@saboteur("DUR-01")
class SettlementsWaitInTheClient(_SettlesLater, SqliteDriver):
    """Settle answers before its effect is in the file."""


@saboteur("DUR-01")
class SettlementsWaitInTheClientInMemory(_SettlesLater, Saboteur):
    """Settle answers before its effect is in the store."""


@saboteur("CLM-07")
class ExclusiveInOneProcess(SqliteDriver):
    """A lock of the process stands between a look at the ready jobs and their claim."""

    _lock: ClassVar[asyncio.Lock] = asyncio.Lock()

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        async with self._lock:
            ready = JobQuery(states=frozenset({JobState.READY}), limit=wants[0].limit)
            found = (await self.search(wants[0].queue, ready)).records
            await asyncio.sleep(0.005)  # long enough for others to look as well
            claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        mine = {lease.token.key for lease in claimed.leases}
        missed = await self.get([record.key for record in found if record.key not in mine])
        tokens = [Token(record.key, record.epoch) for record in missed if record is not None]
        twice = [replace(lease, token=token) for lease in claimed.leases[:1] for token in tokens]
        return replace(claimed, leases=(twice + claimed.leases)[: wants[0].limit])


@saboteur("CLM-08")
class HoldsItsTurn(SqliteDriver):
    """From a claim to the settlement no other client can claim."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        if not (self.__dict__.get("_has_turn") or self._takes_turn()):
            return Claimed([], None)
        return await super().claim(wants, worker=worker, lease=lease, now=now)

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        if self.__dict__.pop("_has_turn", False):
            self._turn.unlink()
        return await super().settle(items, now=now)

    @property
    def _turn(self) -> Path:
        return Path(f"{self._path}.turn")

    def _takes_turn(self) -> bool:
        try:
            self._turn.touch(exist_ok=False)
        except FileExistsError:
            return False
        self.__dict__["_has_turn"] = True
        return True


@saboteur("FNC-09")
class TokensLiveInTheClient(SqliteDriver):
    """What this client has claimed it believes to hold until it has settled it."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        self.__dict__.setdefault("_held", set()).update(lease.token for lease in claimed.leases)
        return claimed

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        held = [replace(item, token=await self._held_token(item.token)) for item in items]
        return await super().settle(held, now=now)

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        held = [replace(item, token=await self._held_token(item.token)) for item in items]
        return await super().extend(held, lease=lease, now=now)

    async def _held_token(self, token: Token) -> Token:
        [record] = await self.get([token.key])
        held = token in self.__dict__.get("_held", ())
        return Token(token.key, record.epoch) if held and record is not None else token


@saboteur("RPR-03", "DUR-02")
class EndsJobsAtTheClaim(SqliteDriver):
    """What is handed out counts as done."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        done = [Settlement(lease.token, Complete()) for lease in claimed.leases]
        await super().settle(done, now=now)
        return claimed

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        return [Settled(SettleStatus.APPLIED, JobState.COMPLETED) for _ in items]


@saboteur("RPR-03", "DUR-02")
class JobsLiveInTheirWorker(Saboteur):
    """A claim takes jobs out of the store; only their worker could bring them back."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        await self.remove([lease.token.key for lease in claimed.leases])
        return claimed

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        return [Settled(SettleStatus.APPLIED, JobState.COMPLETED) for _ in items]


@saboteur("TXN-08")
class CompletionCommits(SqliteDriver):
    """A completion ends the transaction that it was to join."""

    async def settle_in(
        self, connection: aiosqlite.Connection, item: Settlement, *, now: datetime | None = None
    ) -> Settled:
        answer = await super().settle_in(connection, item, now=now)
        await connection.commit()
        await connection.execute("begin immediate")
        return answer
