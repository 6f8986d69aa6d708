"""The part of asyncpg that the driver uses, with types: the library itself has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, TypeAlias, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

__all__ = [
    "Connection",
    "Pool",
    "Row",
    "Transaction",
    "as_connection",
    "as_pool",
    "connect",
    "is_connection",
    "is_pool",
]

Row: TypeAlias = Sequence[Any]
"""A record, read by position: that works whatever record class a connection has."""

Listener: TypeAlias = Callable[[Any, int, str, str], None]


class Transaction(Protocol):
    """A transaction of a connection."""

    async def start(self) -> None: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...
    async def __aenter__(self) -> None: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Connection(Protocol):
    """A connection, alone or out of a pool."""

    async def fetch(self, query: str, *args: Any, timeout: float | None = None) -> list[Row]: ...
    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str: ...
    def transaction(self, *, isolation: str | None = None) -> Transaction: ...
    def is_in_transaction(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def get_server_version(self) -> tuple[int, ...]: ...
    async def add_listener(self, channel: str, callback: Listener) -> None: ...
    async def remove_listener(self, channel: str, callback: Listener) -> None: ...
    def add_termination_listener(self, callback: Callable[[Any], None]) -> None: ...
    def remove_termination_listener(self, callback: Callable[[Any], None]) -> None: ...
    async def reset(self, *, timeout: float | None = None) -> None: ...
    async def close(self, *, timeout: float | None = None) -> None: ...
    def terminate(self) -> None: ...


class Pool(Protocol):
    """A pool of connections."""

    async def acquire(self, *, timeout: float | None = None) -> Connection: ...
    async def release(self, connection: Connection, *, timeout: float | None = None) -> None: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...
    def is_closing(self) -> bool: ...
    def get_size(self) -> int: ...
    def get_idle_size(self) -> int: ...
    def get_max_size(self) -> int: ...


class _Plain(asyncpg.Connection):  # type: ignore[misc] # a class without types
    """A connection of the driver's own. What is reset on it is up to the driver, which knows how it
    is to be."""

    __slots__ = ()

    def get_reset_query(self) -> str:
        return ""


async def connect(dsn: str, **options: Any) -> Connection:
    """Return a connection of the driver's own."""
    return cast("Connection", await asyncpg.connect(dsn, connection_class=_Plain, **options))


def is_connection(candidate: object) -> bool:
    """Whether this is a connection of asyncpg, alone or out of a pool."""
    return isinstance(candidate, asyncpg.Connection | PoolConnectionProxy)


def is_pool(candidate: object) -> bool:
    """Whether this is a pool of asyncpg."""
    return isinstance(candidate, asyncpg.Pool)


def as_pool(candidate: object) -> Pool:
    """Return a user's pool with types."""
    return cast("Pool", candidate)


def as_connection(candidate: object) -> Connection:
    """Return a user's connection with types."""
    return cast("Connection", candidate)
