"""Connections of other client libraries, as applications open them; the harness on each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar

import psycopg
from postgres_harness import BundledServer
from psycopg.rows import dict_row
from psycopg.types.string import StrDumper, TextLoader
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from stoker.driver import Driver
from stoker_conformance import UserConnection
from stoker_postgres import PostgresDriver

__all__ = ["LIBRARIES", "Library", "LibraryHarness"]


class Library(ABC):
    """How an application has connections: opened, and with a begin, commit and rollback."""

    name: ClassVar[str]

    @abstractmethod
    def connect(
        self, url: str, *, strict: bool = False, unusual: bool = False
    ) -> AbstractAsyncContextManager[Any]:
        """Open a connection: serializable if `strict`, set up in a way of its own if `unusual`."""

    async def begin(self, raw: Any) -> Any:
        """Begin a transaction in the usual way; returns what `commit` and `rollback` need."""
        return await raw.begin()

    async def commit(self, raw: Any, begun: Any) -> None:
        """Commit it."""
        await raw.commit()

    async def rollback(self, raw: Any, begun: Any) -> None:
        """Roll it back."""
        await raw.rollback()

    @abstractmethod
    async def execute(self, raw: Any, query: str) -> list[tuple[Any, ...]]:
        """Run a statement of the user's own, and return its rows."""


class _Shouting(StrDumper):
    """A user's own way to send text."""

    def dump(self, obj: str) -> bytes:
        return obj.upper().encode()


class _Reversing(TextLoader):
    """A user's own way to read text."""

    def load(self, data: Any) -> str:
        return bytes(data).decode()[::-1]


class _Psycopg(Library):
    name: ClassVar = "psycopg"
    autocommit: ClassVar = False

    @asynccontextmanager
    async def connect(
        self, url: str, *, strict: bool = False, unusual: bool = False
    ) -> AsyncIterator[Any]:
        raw: Any = await psycopg.AsyncConnection.connect(url, autocommit=self.autocommit)
        try:
            if strict:
                await raw.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)
            if unusual:
                raw.row_factory = dict_row
                raw.cursor_factory = psycopg.AsyncClientCursor
                raw.adapters.register_dumper(str, _Shouting)
                raw.adapters.register_loader("text", _Reversing)
            yield raw
        finally:
            await raw.close()

    async def begin(self, raw: Any) -> Any:
        await raw.execute("select 1")

    async def execute(self, raw: Any, query: str) -> list[tuple[Any, ...]]:
        cursor = await raw.execute(query)
        return [tuple(row) for row in await cursor.fetchall()] if cursor.description else []


class _PsycopgAutocommit(_Psycopg):
    name: ClassVar = "psycopg in autocommit mode"
    autocommit: ClassVar = True

    async def begin(self, raw: Any) -> Any:
        transaction = raw.transaction()
        await transaction.__aenter__()
        return transaction

    async def commit(self, raw: Any, begun: Any) -> None:
        await begun.__aexit__(None, None, None)

    async def rollback(self, raw: Any, begun: Any) -> None:
        await begun.__aexit__(psycopg.Rollback, psycopg.Rollback(), None)


class _Sqlalchemy(Library):
    dialect: ClassVar[str]

    @asynccontextmanager
    async def connect(
        self, url: str, *, strict: bool = False, unusual: bool = False
    ) -> AsyncIterator[Any]:
        engine = create_async_engine(
            url.replace("postgresql", f"postgresql+{self.dialect}", 1),
            poolclass=NullPool,
            isolation_level="SERIALIZABLE" if strict else "READ COMMITTED",
        )
        if unusual:
            engine = engine.execution_options(yield_per=7)
            event.listen(engine.sync_engine, "connect", self._set_up)
        try:
            async with self._opened(engine) as raw:
                yield raw
        finally:
            await engine.dispose()

    @abstractmethod
    def _opened(self, engine: AsyncEngine) -> AbstractAsyncContextManager[Any]: ...

    async def execute(self, raw: Any, query: str) -> list[tuple[Any, ...]]:
        buffered = {"stream_results": False, "yield_per": None}
        result = await raw.execute(text(query), execution_options=buffered)
        return [tuple(row) for row in result] if result.returns_rows else []

    def _set_up(self, connection: Any, _: Any) -> None:
        if self.dialect == "psycopg":
            connection.adapters.register_loader("timestamptz", _Reversing)
            return
        for name in ("timestamptz", "interval", "numeric", "bool", "int4"):
            connection.run_async(
                lambda raw, name=name: raw.set_type_codec(
                    name, schema="pg_catalog", encoder=str, decoder=str, format="text"
                )
            )


class _Connection(_Sqlalchemy):
    def _opened(self, engine: AsyncEngine) -> AbstractAsyncContextManager[Any]:
        return engine.connect()


class _Session(_Sqlalchemy):
    def _opened(self, engine: AsyncEngine) -> AbstractAsyncContextManager[Any]:
        return AsyncSession(engine)


class _ConnectionOnAsyncpg(_Connection):
    name: ClassVar = "AsyncConnection on asyncpg"
    dialect: ClassVar = "asyncpg"


class _ConnectionOnPsycopg(_Connection):
    name: ClassVar = "AsyncConnection on psycopg"
    dialect: ClassVar = "psycopg"


class _SessionOnAsyncpg(_Session):
    name: ClassVar = "AsyncSession on asyncpg"
    dialect: ClassVar = "asyncpg"


class _SessionOnPsycopg(_Session):
    name: ClassVar = "AsyncSession on psycopg"
    dialect: ClassVar = "psycopg"


LIBRARIES: dict[str, Library] = {
    library.name: library
    for library in (
        _Psycopg(),
        _PsycopgAutocommit(),
        _ConnectionOnAsyncpg(),
        _ConnectionOnPsycopg(),
        _SessionOnAsyncpg(),
        _SessionOnPsycopg(),
    )
}


class _User:
    """A connection as the suite uses it."""

    def __init__(self, library: Library, raw: Any, *, reads: bool) -> None:
        self.raw = raw
        self._library = library
        self._reads = reads
        self._begun: Any = None

    async def begin(self) -> None:
        self._begun = await self._library.begin(self.raw)
        if self._reads:
            await self._library.execute(self.raw, "select 1")  # this takes the snapshot

    async def commit(self) -> None:
        await self._library.commit(self.raw, self._begun)

    async def rollback(self) -> None:
        await self._library.rollback(self.raw, self._begun)


class _Lending(PostgresDriver):
    """A driver whose own blocks are on connections of a library."""

    library: Library
    url: str

    def transaction(
        self, connection: Any = None, *, lease: timedelta
    ) -> AbstractAsyncContextManager[Any]:
        if connection is None:
            self._opened()
            return self._lent(lease)
        return super().transaction(connection, lease=lease)

    @asynccontextmanager
    async def _lent(self, lease: timedelta) -> AsyncIterator[Any]:
        async with (
            self.library.connect(self.url) as raw,
            super().transaction(raw, lease=lease) as lent,
        ):
            yield lent


class LibraryHarness(BundledServer):
    """The harness of the driver, with connections of a library in place of asyncpg's."""

    library: Library

    async def connect(self, namespace: str) -> Driver:
        driver = _Lending(self.url, schema=namespace)
        driver.library, driver.url = self.library, self.url
        return driver

    @asynccontextmanager
    async def connection(self, namespace: str) -> AsyncIterator[UserConnection]:
        async with self.library.connect(self.url) as raw:
            yield _User(self.library, raw, reads=False)

    @asynccontextmanager
    async def snapshot_connection(self, namespace: str) -> AsyncIterator[UserConnection]:
        async with self.library.connect(self.url, strict=True) as raw:
            yield _User(self.library, raw, reads=True)

    @asynccontextmanager
    async def unusual_connection(self, namespace: str) -> AsyncIterator[UserConnection]:
        async with self.library.connect(self.url, unusual=True) as raw:
            yield _User(self.library, raw, reads=False)
