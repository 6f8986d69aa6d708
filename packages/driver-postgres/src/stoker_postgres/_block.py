"""`transaction()`: a block that begins a transaction and ends it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final

from stoker.errors import DriverUnavailable, InvalidInput
from stoker_postgres._asyncpg import Connection, Transaction
from stoker_postgres._client import Client
from stoker_postgres._errors import FAILURES, translated, unreachable
from stoker_postgres._transaction import RELEASE_SECONDS, abandon

__all__ = ["Block"]

_ISOLATION: Final = "read_committed"
"""Whatever the connection's default is: above it, every heartbeat of the job would be a
serialisation failure for the settlement at the end of the block."""


class Block:
    """One transaction, on a connection of the pool or a given one."""

    def __init__(self, client: Client, connection: Connection | None) -> None:
        self._client = client
        self._given = connection
        self._connection: Connection | None = None
        self._transaction: Transaction | None = None

    async def __aenter__(self) -> Any:
        if self._given is None:
            await self._client.room_for_blocks.acquire()
        try:
            await self._begin()
        except BaseException:
            if self._given is None and self._connection is not None:
                abandon(self._connection)  # its beginning may be under way still
            await self._give_back()
            raise
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self._commit()
            else:
                await self._roll_back()
        finally:
            await self._give_back()

    async def _begin(self) -> None:
        connection = self._given or await self._client.acquire()
        self._connection = connection
        if connection.is_in_transaction():
            raise InvalidInput(
                "the connection is in a transaction already, whose commit could not be seen: "
                "give one without, or none"
            )
        transaction = connection.transaction(isolation=_ISOLATION)
        try:
            await transaction.start()
            self._transaction = transaction
            if self._given is None:
                await self._client.source.lend(connection)
        except FAILURES as error:
            raise unreachable(error, self._client.schema) from error

    async def _commit(self) -> None:
        assert self._connection is not None
        assert self._transaction is not None
        try:
            # The commit of a transaction that has failed is a rollback, and no error; so is the
            # commit of one that a user has ended.
            await self._connection.fetch("select 1::bigint")
        except FAILURES as error:
            await self._roll_back()
            raise DriverUnavailable(
                f"the transaction had failed before its commit: {error}", maybe_applied=False
            ) from error
        try:
            await self._transaction.commit()
        except FAILURES as error:
            raise translated(error, self._client.schema) from error

    async def _roll_back(self) -> None:
        assert self._transaction is not None
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._transaction.rollback()
        except FAILURES:
            # Without its connection the server rolls back by itself; the block's error counts.
            if self._connection is not None:
                abandon(self._connection)

    async def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if self._given is not None:
            return
        try:
            if connection is not None:
                await self._clean(connection)
                await self._client.release(connection)
        finally:
            self._client.room_for_blocks.release()

    async def _clean(self, connection: Connection) -> None:
        try:
            # One that is in a transaction was not begun properly, or not ended.
            if connection.is_closed() or connection.is_in_transaction():
                abandon(connection)
                return
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._client.source.clean(connection)
        except FAILURES:
            abandon(connection)
