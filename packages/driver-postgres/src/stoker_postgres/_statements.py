"""Who runs the statements of an operation: a connection of the pool, or a user's transaction."""

from __future__ import annotations

from typing import Any, Protocol

from stoker_postgres._asyncpg import Row
from stoker_postgres._sql import statement

__all__ = ["Fetches", "OnConnection", "Statements", "channel_of"]


class Statements(Protocol):
    """Runs statements by name. What it is decides about transactions and errors."""

    @property
    def channel(self) -> str:
        """The channel for hints."""
        ...

    async def rows(self, name: str, *parameters: Any) -> list[Row]:
        """Run a statement and return all its rows."""
        ...


class Fetches(Protocol):
    """Runs statements as text; a connection of asyncpg does, and what stands for another."""

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """Run a statement and return all its rows."""
        ...


class OnConnection:
    """Statements on one connection, one after the other; errors are the client library's own."""

    def __init__(self, connection: Fetches, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self.channel = channel_of(schema)

    async def rows(self, name: str, *parameters: Any) -> list[Row]:
        """Run a statement and return all its rows."""
        return await self._connection.fetch(statement(name, self._schema), *parameters)


def channel_of(schema: str) -> str:
    """Return the channel on which hints for the queues of a schema are given."""
    return f"{schema}.hints"
