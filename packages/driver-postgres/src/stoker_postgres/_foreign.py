"""A connection that a user has given: of asyncpg, or of another library.

Whose it is is told by the modules that its classes come from. So no library is imported that the
user has not imported already.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from stoker.errors import InvalidInput
from stoker_postgres._asyncpg import as_connection, is_connection
from stoker_postgres._block import Block
from stoker_postgres._client import Client
from stoker_postgres._given import no_transaction
from stoker_postgres._statements import Fetches

__all__ = ["block", "joined"]


class _Given(Protocol):
    """A connection of another library."""

    async def joined(self) -> Fetches: ...
    def block(self) -> AbstractAsyncContextManager[Any]: ...


async def joined(connection: object) -> Fetches:
    """Return what runs statements in the transaction that is open on `connection`.

    Raises:
        InvalidInput: no transaction is open, or this is no connection that the driver knows.
    """
    if not is_connection(connection):
        return await _other(connection).joined()
    found = as_connection(connection)
    if not found.is_in_transaction():
        raise no_transaction("begin one first")
    return found


def block(client: Client, connection: object) -> AbstractAsyncContextManager[Any]:
    """Return a block that begins a transaction on `connection` and ends it.

    Raises:
        InvalidInput: this is no connection that the driver knows.
    """
    if is_connection(connection):
        return Block(client, as_connection(connection))
    return _other(connection).block()


def _other(connection: object) -> _Given:
    libraries = {cls.__module__.partition(".")[0] for cls in type(connection).__mro__}
    if "psycopg" in libraries:
        from stoker_postgres._psycopg import Psycopg  # noqa: PLC0415  as said above

        return Psycopg(connection)
    if "sqlalchemy" in libraries:
        from stoker_postgres._sqlalchemy import Sqlalchemy  # noqa: PLC0415

        return Sqlalchemy(connection)
    raise InvalidInput(
        "a connection of asyncpg or psycopg, or an AsyncSession or AsyncConnection of SQLAlchemy "
        f"is needed, not {type(connection).__name__}"
    )
