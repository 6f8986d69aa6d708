"""Harnesses of the drivers that live in this repository."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

import aiosqlite

from stoker.driver import Driver
from stoker_conformance import Harness, UserConnection
from stoker_memory import MemoryDriver
from stoker_sqlite import SqliteDriver

_numbers = count(1)


class MemoryHarness(Harness[str]):
    """The driver in memory: a namespace is a name."""

    async def namespace(self) -> str:
        return f"conformance-{next(_numbers)}"

    async def connect(self, namespace: str) -> Driver:
        return MemoryDriver(f"memory://{namespace}")

    async def footprint(self, namespace: str) -> int:
        return sum(
            len(place)
            for queue in MemoryDriver(f"memory://{namespace}")._store.queues.values()
            for place in (queue.jobs, queue.scheduled, queue.running, queue.keys._holds)
        )


class SqliteHarness(Harness[Path]):
    """The driver on SQLite: a namespace is a file in a folder of its own."""

    async def namespace(self) -> Path:
        return Path(mkdtemp(prefix="stoker-conformance-")) / "jobs.db"

    async def discard(self, namespace: Path) -> None:
        shutil.rmtree(namespace.parent)

    async def connect(self, namespace: Path) -> Driver:
        return SqliteDriver.from_url(f"sqlite:///{namespace}")

    async def footprint(self, namespace: Path) -> int:
        with closing(sqlite3.connect(namespace)) as connection:
            names = connection.execute("select name from sqlite_master where type = 'table'")
            tables = [name for (name,) in names.fetchall() if not name.startswith("sqlite_")]
            return sum(
                connection.execute(f'select count(*) from "{table}"').fetchone()[0]
                for table in tables
            )

    def connection(self, namespace: Path) -> AbstractAsyncContextManager[UserConnection]:
        return _connect(namespace)


@dataclass
class _SqliteConnection:
    """A connection as an application has it, with the defaults of aiosqlite."""

    raw: aiosqlite.Connection

    async def begin(self) -> None:
        await self.raw.execute("begin")

    async def commit(self) -> None:
        await self.raw.commit()

    async def rollback(self) -> None:
        await self.raw.rollback()


@asynccontextmanager
async def _connect(namespace: Path) -> AsyncIterator[UserConnection]:
    async with aiosqlite.connect(namespace) as raw:
        yield _SqliteConnection(raw)
