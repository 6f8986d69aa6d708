"""Defects of blocks, and of hints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar

from postgres_saboteurs.base import Changed, Changes, saboteur
from stoker.driver import Enqueued, NewJob
from stoker_postgres import _enqueue
from stoker_postgres._block import Block
from stoker_postgres._times import moment


class _BlockAtTheSessionsLevel(Block):
    async def _begin(self) -> None:
        connection = self._given or await self._client.acquire()
        self._connection = connection
        self._transaction = connection.transaction()
        await self._transaction.start()


@saboteur("TXN-05")
class BlockAtTheSessionsLevel(Changed):
    """A block has the isolation level that the session begins transactions with."""

    def transaction(
        self, connection: Any = None, *, lease: timedelta
    ) -> AbstractAsyncContextManager[Any]:
        assert self._client is not None
        return _BlockAtTheSessionsLevel(self._client, connection)


@saboteur("TXN-05")
class CommitIsNotAwaited(Changed):
    """A block ends before its commit does."""

    @asynccontextmanager
    async def transaction(self, connection: Any = None, *, lease: timedelta) -> AsyncIterator[Any]:
        block = super().transaction(connection, lease=lease)
        inside = await block.__aenter__()
        try:
            yield inside
        except BaseException as error:
            await block.__aexit__(type(error), error, None)
            raise
        self.__dict__["_committing"] = asyncio.create_task(self._commit(block))

    @staticmethod
    async def _commit(block: AbstractAsyncContextManager[Any]) -> None:
        await asyncio.sleep(0.1)
        await block.__aexit__(None, None, None)

    async def close(self) -> None:
        if "_committing" in self.__dict__:
            await asyncio.wait([self.__dict__["_committing"]])
        await super().close()


@saboteur("WAK-04")
class HintsBeforeTheCommit(Changed):
    """The hint of an enqueue in a transaction is given on another connection, at once."""

    async def enqueue_in(
        self, connection: Any, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        db = await self._joined(connection)
        answers = await _enqueue.enqueue(db, jobs, moment(now), hints=[], patience=None)
        assert self._client is not None
        await self._client._send_hints(sorted({job.key.queue for job in jobs}))
        return answers


@saboteur("WAK-01")
class ReapGivesNoHint(Changed):
    """A reap tells nobody that jobs came back."""

    changes: ClassVar[Changes] = {"reap": (("pg_notify($6::text, 'W' || q.queue)", "$6::text"),)}


@saboteur("WAK-06")
class CancelGivesNoHint(Changed):
    """A cancel leaves its request to the next heartbeat."""

    changes: ClassVar[Changes] = {"cancel": (("pg_notify($5::text, 'C' || q.queue)", "$5::text"),)}


@saboteur("TXN-01", "TXN-02")
class EnqueueIsOnItsOwn(Changed):
    """An enqueue in a transaction takes a connection of the pool."""

    async def enqueue_in(
        self, connection: Any, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        await self._joined(connection)
        return await self.enqueue(jobs, now=now)
