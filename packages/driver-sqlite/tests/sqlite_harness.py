"""How the conformance suite gets a store, and clients of it; its processes import this too."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiosqlite

from stoker.driver import Driver
from stoker_conformance import Harness
from stoker_sqlite import SqliteDriver


class UserConnection:
    """A connection as an application opens it: Python's own transaction control, a row factory."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self.raw = connection

    async def begin(self) -> None:
        await self.raw.execute("begin")

    async def commit(self) -> None:
        await self.raw.commit()

    async def rollback(self) -> None:
        await self.raw.rollback()


class SqliteHarness(Harness[Path]):
    """A namespace is a file in a folder of its own."""

    async def namespace(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="stoker-sqlite-")) / "jobs.db"

    async def discard(self, namespace: Path) -> None:
        shutil.rmtree(namespace.parent)

    async def connect(self, namespace: Path) -> Driver:
        return SqliteDriver(namespace)

    async def footprint(self, namespace: Path) -> int:
        with closing(sqlite3.connect(namespace)) as raw:
            tables = ("stoker_jobs", "stoker_attachments", "stoker_keys")
            counts = (raw.execute(f"select count(*) from {table}") for table in tables)
            return sum(count.fetchone()[0] for count in counts)

    @asynccontextmanager
    async def connection(self, namespace: Path) -> AsyncIterator[UserConnection]:
        async with aiosqlite.connect(namespace) as connection:
            connection.row_factory = aiosqlite.Row
            yield UserConnection(connection)

    async def restart_backend(self) -> None:
        """Nothing runs that could be restarted: the store is a file."""
