"""Migrations as a step of their own: on a connection of a driver that need not be open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stoker.driver import Migration
from stoker_postgres import _schema
from stoker_postgres._asyncpg import Connection
from stoker_postgres._client import Client, opened
from stoker_postgres._source import Source

__all__ = ["migrate", "pending"]


async def pending(source: Source, schema: str) -> list[Migration]:
    """Return the steps that the schema lacks."""
    async with _connected(source, schema) as connection:
        return await _schema.pending(connection, schema)


async def migrate(source: Source, schema: str) -> list[Migration]:
    """Bring the schema to the newest version, and return the steps."""
    async with _connected(source, schema) as connection:
        return await _schema.migrate(connection, schema)


@asynccontextmanager
async def _connected(source: Source, schema: str) -> AsyncIterator[Connection]:
    """Lend a connection, whatever the schema is like."""
    pool = await opened(source, schema)
    client = Client(source, pool, schema)
    try:
        async with client.connection() as connection:
            yield connection
    finally:
        await client.close()
