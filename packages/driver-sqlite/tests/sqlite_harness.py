"""How the conformance suite gets a store, and clients of it; its processes import this too."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import aiosqlite

from stoker.driver import Driver
from stoker_conformance import Harness, UserConnection
from stoker_sqlite import SqliteDriver

__all__ = ["SqliteHarness"]


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

    async def restart_backend(self) -> None:
        """There is no server: the suite kills the clients, and opens the file again."""

    def connection(self, namespace: Path) -> AbstractAsyncContextManager[UserConnection]:
        return _connect(namespace)

    def unusual_connection(self, namespace: Path) -> AbstractAsyncContextManager[UserConnection]:
        return _connect_unusually(namespace)

    def snapshot_connection(self, namespace: Path) -> AbstractAsyncContextManager[UserConnection]:
        return _connect(namespace, _SnapshotConnection)


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


class _SnapshotConnection(_SqliteConnection):
    """Its transactions have read the file when they begin, and are late if another one writes."""

    async def begin(self) -> None:
        await super().begin()
        await self.raw.execute_fetchall("select count(*) from sqlite_master")


@asynccontextmanager
async def _connect(
    namespace: Path, kind: type[_SqliteConnection] = _SqliteConnection
) -> AsyncIterator[UserConnection]:
    async with aiosqlite.connect(namespace) as raw:
        yield kind(raw)


@asynccontextmanager
async def _connect_unusually(namespace: Path) -> AsyncIterator[UserConnection]:
    """Rows are dicts, texts are bytes, and types are converted by their declaration."""
    types = sqlite3.PARSE_DECLTYPES | sqlite3.PARSE_COLNAMES
    async with aiosqlite.connect(namespace, detect_types=types, isolation_level="EXCLUSIVE") as raw:
        raw.row_factory = _row_as_dict  # type: ignore[assignment]
        raw.text_factory = bytes
        yield _SqliteConnection(raw)
        assert (raw.row_factory, raw.text_factory) == (_row_as_dict, bytes)


def _row_as_dict(cursor: sqlite3.Cursor, row: tuple[object, ...]) -> dict[str, object]:
    return dict(zip((column[0] for column in cursor.description), row, strict=True))
