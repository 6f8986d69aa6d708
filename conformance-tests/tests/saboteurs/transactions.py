"""Defects of jobs inside the user's own transactions, on the driver that has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta

import aiosqlite

from saboteurs.base import saboteur
from stoker.driver import (
    Enqueued,
    EnqueueStatus,
    JobState,
    NewJob,
    Settled,
    Settlement,
    SettleStatus,
    Wake,
)
from stoker.errors import InvalidInput
from stoker_sqlite import SqliteDriver


@saboteur("TXN-01", "TXN-02")
class EnqueueCommits(SqliteDriver):
    """An enqueue ends the transaction that it was to join."""

    async def enqueue_in(
        self,
        connection: aiosqlite.Connection,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> list[Enqueued]:
        answers = await super().enqueue_in(connection, jobs, now=now)
        await connection.commit()
        await connection.execute("begin")
        return answers


@saboteur("TXN-03")
class DuplicatePoisons(SqliteDriver):
    """A duplicate rolls the user's transaction back."""

    async def enqueue_in(
        self,
        connection: aiosqlite.Connection,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> list[Enqueued]:
        answers = await super().enqueue_in(connection, jobs, now=now)
        if any(answer.status is EnqueueStatus.DUPLICATE_ID for answer in answers):
            await connection.rollback()
            await connection.execute("begin")
        return answers


@saboteur("TXN-06")
class SettleInIsNotFenced(SqliteDriver):
    """A completion inside a transaction is taken for granted."""

    async def settle_in(
        self, connection: aiosqlite.Connection, item: Settlement, *, now: datetime | None = None
    ) -> Settled:
        await super().settle_in(connection, item, now=now)
        return Settled(SettleStatus.APPLIED, JobState.COMPLETED)


@saboteur("TXN-05")
class BlockCommitsWhateverHappens(SqliteDriver):
    """The block commits in its `finally`."""

    def transaction(
        self, connection: aiosqlite.Connection | None = None, *, lease: timedelta
    ) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        return self._block(super().transaction(connection, lease=lease))

    @asynccontextmanager
    async def _block(
        self, block: AbstractAsyncContextManager[aiosqlite.Connection]
    ) -> AsyncIterator[aiosqlite.Connection]:
        failure: Exception | None = None
        async with block as connection:
            try:
                yield connection
            except Exception as error:  # noqa: BLE001 - that is the defect
                failure = error
        if failure is not None:
            raise failure


@saboteur("TXN-11")
class NeedsNoTransaction(SqliteDriver):
    """An enqueue outside of a transaction makes one of its own."""

    async def enqueue_in(
        self,
        connection: aiosqlite.Connection,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> list[Enqueued]:
        try:
            return await super().enqueue_in(connection, jobs, now=now)
        except InvalidInput:
            return await self.enqueue(jobs, now=now)


@saboteur("WAK-04")
class HintsBeforeTheCommit(SqliteDriver):
    """A hint is given as the job is written, and none at the commit."""

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        first = queues[0] not in self.__dict__.setdefault("_waited", set())
        self.__dict__["_waited"].add(queues[0])
        return await super().wait(queues, timeout) if first else Wake.NOTHING
