"""The stores that every application test runs on: one entry each, and nothing else to change."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from tools.servers.postgres import PostgresServer

from stoker.driver import Capability, Scope
from stoker.registry import driver_for, installed_schemes

__all__ = ["KINDS", "Kind", "Servers", "Store", "connect", "fresh_store", "kinds"]


class Servers(ExitStack):
    """The servers that stores are on: each is started by the first test that needs it."""

    @cached_property
    def postgres(self) -> str:
        """The URL of a database. What a commit survives is not what these tests are about."""
        return self.enter_context(PostgresServer(fsync="off")).url

    @cached_property
    def redis(self) -> str:
        """The URL of a server, which keeps everything in memory."""
        from tools.servers.valkey import ValkeyServer  # needs the client of the Redis driver

        return self.enter_context(ValkeyServer({"appendonly": "no"})).url


@dataclass(frozen=True)
class Place:
    """Where a new store may be."""

    folder: Path
    servers: Servers


@dataclass(frozen=True)
class Kind:
    """How to get a store that no other test uses, and how to be rid of it."""

    scheme: str
    capabilities: frozenset[Capability]
    scope: Scope
    make_url: Callable[[Place], str]
    clean: Callable[[str], Awaitable[None]] | None = None
    connect: Callable[[str], AbstractAsyncContextManager[Any]] | None = None
    """Opens a connection of the user's own, in autocommit mode."""
    fetch: Callable[[Any, str], Awaitable[list[tuple[Any, ...]]]] | None = None


@dataclass(frozen=True)
class Store:
    """A store for one test."""

    kind: Kind
    url: str

    def can(self, capability: Capability) -> bool:
        """Whether its driver has a capability."""
        return capability in self.kind.capabilities

    def connect(self) -> AbstractAsyncContextManager[Any]:
        """Open a connection of the user's own."""
        assert self.kind.connect is not None
        return self.kind.connect(self.url)

    async def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as another client sees them."""
        assert self.kind.fetch is not None
        async with self.connect() as connection:
            return await self.kind.fetch(connection, query)


def _memory_url(_: Place) -> str:
    return f"memory://{uuid.uuid4().hex}"


async def _forget(url: str) -> None:
    from stoker_memory import _store

    _store._named.pop(url.removeprefix("memory://"), None)


def _sqlite_url(place: Place) -> str:
    return f"sqlite:///{place.folder}/{uuid.uuid4().hex}.db"


@asynccontextmanager
async def _sqlite_connect(url: str) -> AsyncIterator[Any]:
    import aiosqlite

    path = url.removeprefix("sqlite:///")
    async with aiosqlite.connect(path, isolation_level=None, timeout=5) as connection:
        yield connection


async def _sqlite_fetch(connection: Any, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.execute_fetchall(query)]


def _postgres_url(place: Place) -> str:
    # All that a test makes, the user's tables too, is in the schema that goes with it.
    schema = f"stoker_{uuid.uuid4().hex}"
    return f"{place.servers.postgres}?schema={schema}&search_path={schema}"


def _schema(url: str) -> str:
    return url.rpartition("=")[2]


@asynccontextmanager
async def _postgres_connect(url: str) -> AsyncIterator[Any]:
    import asyncpg

    server, schema = url.partition("?")[0], _schema(url)
    connection = await asyncpg.connect(server, server_settings={"search_path": schema})
    try:
        yield connection
    finally:
        await connection.close()


async def _postgres_fetch(connection: Any, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(query)]


async def _postgres_drop(url: str) -> None:
    async with _postgres_connect(url) as connection:
        await connection.execute(f"drop schema if exists {_schema(url)} cascade")


def _redis_url(place: Place) -> str:
    return f"{place.servers.redis}?prefix={uuid.uuid4().hex}"


async def _redis_delete(url: str) -> None:
    from redis.asyncio import Redis

    server, _, prefix = url.partition("?prefix=")
    async with Redis.from_url(server) as client:
        async for key in client.scan_iter(f"{prefix}:*", count=1_000):
            await client.delete(key)


KINDS = (
    Kind(
        scheme="memory",
        capabilities=frozenset(
            {
                Capability.WAKEUP,
                Capability.SCHEDULE,
                Capability.UNIQUE,
                Capability.PRIORITY,
                Capability.RESULTS,
                Capability.PRESENCE,
            }
        ),
        scope=Scope.PROCESS,
        make_url=_memory_url,
        clean=_forget,
    ),
    Kind(
        scheme="sqlite",
        capabilities=frozenset(Capability),
        scope=Scope.HOST,
        make_url=_sqlite_url,
        connect=_sqlite_connect,
        fetch=_sqlite_fetch,
    ),
    Kind(
        scheme="postgresql",
        capabilities=frozenset(Capability),
        scope=Scope.NETWORK,
        make_url=_postgres_url,
        clean=_postgres_drop,
        connect=_postgres_connect,
        fetch=_postgres_fetch,
    ),
    Kind(
        scheme="redis",
        capabilities=frozenset(Capability) - {Capability.TRANSACTIONAL, Capability.DURABLE_RESTART},
        scope=Scope.NETWORK,
        make_url=_redis_url,
        clean=_redis_delete,
    ),
)
"""What a driver can do is written here, and compared with what it declares: a capability that got
lost must fail a test, not skip some."""


def kinds(
    capability: Capability | None = None, *, scopes: Container[Scope] = frozenset(Scope)
) -> list[Any]:
    """Return the installed kinds of stores with a capability, as parameters of a fixture."""
    return [
        pytest.param(kind, id=kind.scheme)
        for kind in KINDS
        if kind.scheme in installed_schemes()
        and (capability is None or capability in kind.capabilities)
        and kind.scope in scopes
    ]


def connect(url: str) -> AbstractAsyncContextManager[Any]:
    """Open a connection of the user's own to a store that is known by its URL only."""
    (kind,) = [kind for kind in KINDS if url.startswith(f"{kind.scheme}://")]
    return Store(kind, url).connect()


@asynccontextmanager
async def fresh_store(kind: Kind, folder: Path, servers: Servers) -> AsyncIterator[Store]:
    """Lend a store of its own to a test."""
    url = kind.make_url(Place(folder, servers))
    assert driver_for(url).info.capabilities == kind.capabilities
    try:
        yield Store(kind, url)
    finally:
        if kind.clean is not None:
            await kind.clean(url)
