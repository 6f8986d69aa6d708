"""Migrations as a step of their own: on a connection of a driver that need not be open."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from stoker.driver import Migration
from stoker_sqlite._connection import BUSY_SECONDS, connect, run
from stoker_sqlite._schema import check_library, check_place, missing, prepare, refusal, steps
from stoker_sqlite._wake import Bell

__all__ = ["migrate", "pending"]


async def pending(path: Path) -> list[Migration]:
    """Return what the file lacks; one that does not exist is not created."""
    if not _exists(path):
        return steps()
    async with _connected(path, BUSY_SECONDS) as connection:
        return await run(connection, missing, path)


async def migrate(path: Path, synchronous: str) -> list[Migration]:
    """Make the file a store of the present version, and return what it took."""
    _exists(path)
    async with _connected(path, 0) as connection:
        return await run(connection, prepare, path, synchronous)


def _exists(path: Path) -> bool:
    """Return whether there is a file; refuse a place where none can be."""
    check_library()
    check_place(path)
    return path.exists()


@asynccontextmanager
async def _connected(path: Path, busy_seconds: float) -> AsyncIterator[aiosqlite.Connection]:
    bell = Bell.of(path)  # refuses a file that was open before a fork
    try:
        connection = await connect(path, busy_seconds=busy_seconds)
        try:
            yield connection
        finally:
            await connection.close()
    except sqlite3.Error as error:
        raise refusal(error, path) from error
    finally:
        await bell.release()
