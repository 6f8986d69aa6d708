"""Connections of psycopg 3. Imported only when one is given."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import NoneType
from typing import Any, ClassVar, Final

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.array import ListBinaryDumper
from psycopg.types.none import NoneDumper
from psycopg.types.numeric import Int8BinaryDumper, IntLoader
from psycopg.types.string import (
    ByteaLoader,
    BytesBinaryDumper,
    StrBinaryDumper,
    TextLoader,
)

from stoker.errors import InvalidInput
from stoker_postgres._asyncpg import Row
from stoker_postgres._given import (
    READ_COMMITTED,
    GivenBlock,
    in_transaction_already,
    no_transaction,
)
from stoker_postgres._statements import Fetches

__all__ = ["Psycopg"]

_DUMPERS: Final = (
    (str, StrBinaryDumper),
    (int, Int8BinaryDumper),
    (bytes, BytesBinaryDumper),
    (list, ListBinaryDumper),
    (NoneType, NoneDumper),
)
_LOADERS: Final = (("text", TextLoader), ("int8", IntLoader), ("bytea", ByteaLoader))


class Psycopg:
    """A connection of psycopg 3 that a user has given.

    Raises:
        InvalidInput: it is something else of that library.
    """

    def __init__(self, connection: object) -> None:
        if not isinstance(connection, AsyncConnection):
            raise InvalidInput(
                f"a psycopg.AsyncConnection is needed, not {type(connection).__name__}"
            )
        self._connection: AsyncConnection[Any] = connection

    async def joined(self) -> Fetches:
        """Return what runs statements in the open transaction."""
        if await _status(self._connection) is TransactionStatus.IDLE:
            raise no_transaction("begin one first, with `async with connection.transaction()`")
        return _Fetching(self._connection)

    def block(self) -> GivenBlock:
        """Return a block that begins a transaction and ends it."""
        return _Block(self._connection)


class _Fetching:
    """Runs statements with a cursor and types of its own, whatever the user has set for theirs."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """Run a statement, and return all its rows."""
        async with AsyncRawCursor(self._connection, row_factory=tuple_row) as cursor:
            for type_, dumper in _DUMPERS:
                cursor.adapters.register_dumper(type_, dumper)
            for name, loader in _LOADERS:
                cursor.adapters.register_loader(name, loader)
            await cursor.execute(query.encode(), args)
            return list(await cursor.fetchall())


class _Block(GivenBlock):
    failures: ClassVar = (psycopg.Error, OSError)
    _connection: AsyncConnection[Any]
    _transaction: AbstractAsyncContextManager[object] | None = None

    async def _begin(self) -> Fetches:
        connection = self._connection
        if connection.pgconn.pipeline_status != PipelineStatus.OFF:
            raise InvalidInput(
                "the connection is in pipeline mode, where nobody waits for the answer to a "
                "commit: give one that is not"
            )
        # A closed connection has a status of its own, and says what it is by itself.
        if connection.info.transaction_status not in (
            TransactionStatus.IDLE,
            TransactionStatus.UNKNOWN,
        ):
            raise in_transaction_already()
        transaction = connection.transaction()
        await transaction.__aenter__()
        self._transaction = transaction
        await AsyncRawCursor(connection).execute(READ_COMMITTED)
        return _Fetching(connection)

    async def _is_open(self) -> bool:
        return self._connection.info.transaction_status is not TransactionStatus.IDLE

    async def _flush(self) -> None:
        """Do nothing: statements are sent when they are run."""

    async def _commit(self) -> None:
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        await transaction.__aexit__(None, None, None)

    async def _roll_back(self) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            error = psycopg.Rollback()
            await transaction.__aexit__(type(error), error, None)

    def _sqlstate(self, error: Exception) -> str | None:
        return error.sqlstate if isinstance(error, psycopg.Error) else None


async def _status(connection: AsyncConnection[Any]) -> TransactionStatus:
    """Return the state of the transaction, after all that a pipeline has sent before."""
    if connection.pgconn.pipeline_status != PipelineStatus.OFF:
        async with connection.pipeline():  # the end of an inner one waits for the answers
            pass
    return connection.info.transaction_status
