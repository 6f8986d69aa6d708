"""Connections and sessions of SQLAlchemy, on asyncpg or psycopg. Imported only when one is given.

Statements go through SQLAlchemy, not past it: it begins the transaction as it does for any other
statement, logs them, and raises its own errors.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, ClassVar, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from stoker.errors import InvalidInput
from stoker_postgres._asyncpg import Row
from stoker_postgres._given import (
    READ_COMMITTED,
    GivenBlock,
    in_transaction_already,
    no_transaction,
)
from stoker_postgres._statements import Fetches

__all__ = ["Sqlalchemy"]

_BUFFERED: Final = {"stream_results": False, "yield_per": None}
"""Whatever the connection's options are: a statement that writes has no cursor on the server."""

_PARAMETER: Final = re.compile(r"\$(\d+)")


class Sqlalchemy:
    """A connection or session of SQLAlchemy that a user has given.

    Raises:
        InvalidInput: it is something else of that library.
    """

    def __init__(self, connection: object) -> None:
        if not isinstance(connection, AsyncConnection | AsyncSession):
            raise InvalidInput(
                "an AsyncSession or AsyncConnection of SQLAlchemy is needed, not "
                f"{type(connection).__name__}"
            )
        self._connection = connection

    async def joined(self) -> Fetches:
        """Return what runs statements in the open transaction.

        One that was begun in SQLAlchemy begins on the server with its first statement. What no
        statement of the user's has begun is no transaction, though this could be the first:
        nobody may be there to commit it.
        """
        if not self._connection.in_transaction():
            raise no_transaction("begin one first, with `async with connection.begin()`")
        return await _fetching(self._connection)

    def block(self) -> GivenBlock:
        """Return a block that begins a transaction and ends it."""
        return _Block(self._connection)


class _Fetching:
    """Runs statements as the dialect's driver takes them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._is_named = connection.dialect.paramstyle == "pyformat"

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """Run a statement, and return all its rows."""
        parameters: Any = args
        if self._is_named:
            query = _with_names(query)
            parameters = {f"p{number}": value for number, value in enumerate(args, 1)}
        result = await self._connection.exec_driver_sql(
            query, parameters or None, execution_options=_BUFFERED
        )
        return list(result.all())


class _Block(GivenBlock):
    failures: ClassVar = (SQLAlchemyError, OSError)
    _connection: AsyncConnection | AsyncSession
    _transaction: Any = None

    async def _begin(self) -> Fetches:
        if self._connection.in_transaction():
            raise in_transaction_already()
        self._transaction = await self._connection.begin()
        connection = await _core(self._connection)
        fetching = await _fetching(connection)
        await connection.exec_driver_sql(READ_COMMITTED)
        return fetching

    async def _is_open(self) -> bool:
        return bool(self._transaction.is_active)

    async def _flush(self) -> None:
        if isinstance(self._connection, AsyncSession):
            await self._connection.flush()

    async def _commit(self) -> None:
        await self._transaction.commit()

    async def _roll_back(self) -> None:
        # Whatever is open by now: the user may have ended what was begun, and gone on.
        if self._transaction is not None and self._connection.in_transaction():
            await self._connection.rollback()

    def _sqlstate(self, error: Exception) -> str | None:
        cause = error.orig if isinstance(error, DBAPIError) else None
        state: str | None = getattr(cause, "sqlstate", None)
        return state


async def _core(connection: AsyncConnection | AsyncSession) -> AsyncConnection:
    """Return the connection of a session, which begins its transaction."""
    return await connection.connection() if isinstance(connection, AsyncSession) else connection


async def _fetching(given: AsyncConnection | AsyncSession) -> _Fetching:
    connection = await _core(given)
    dialect = connection.dialect
    if dialect.name != "postgresql" or dialect.paramstyle not in ("numeric_dollar", "pyformat"):
        raise InvalidInput(
            f"a connection on {dialect.name}+{dialect.driver} cannot be joined: create the engine "
            "with postgresql+asyncpg:// or postgresql+psycopg://"
        )
    pooled: Any = await connection.get_raw_connection()
    if pooled.dbapi_connection.autocommit:
        raise no_transaction(
            "it is in autocommit mode, where every statement is committed by itself; take one with "
            "another isolation level"
        )
    return _Fetching(connection)


@cache
def _with_names(query: str) -> str:
    """Return a statement with named parameters in place of numbered ones."""
    return _PARAMETER.sub(r"%(p\1)s", query.replace("%", "%%"))
