"""Connections of the driver's own: the free ones on a stack, and a bound for all of them.

The pool of asyncpg starts a task with each connection that comes back, since a user may have left
something under way on it. The driver does not, and a short statement costs half as much so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import asyncpg

from stoker_postgres._asyncpg import Connection
from stoker_postgres._errors import FAILURES

__all__ = ["OwnPool"]

_FREE_SECONDS: Final = 300.0
"""How long nobody may need a connection: then it is ended, since a network forgets it, too."""


class OwnPool:
    """Opens connections when they are needed, and lends each to one at a time."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._size = size
        self._room = asyncio.Semaphore(size)
        self._free: deque[tuple[Connection, float]] = deque()
        """With the time at which each came back: the oldest first."""
        self._lent: set[Connection] = set()
        self._is_closing = False

    async def acquire(self, *, timeout: float | None = None) -> Connection:
        """Lend a connection; while all are lent, wait until one comes back, but no longer."""
        self._check_open()
        if self._room.locked():
            async with asyncio.timeout(timeout):
                await self._room.acquire()
        else:
            await self._room.acquire()  # at once, and without a timer
        try:
            connection = self._take() or await self._connect()
            if self._is_closing:
                connection.terminate()
                self._check_open()
        except BaseException:
            self._room.release()
            raise
        self._lent.add(connection)
        return connection

    async def release(self, connection: Connection, *, timeout: float | None = None) -> None:
        """Take a connection back. Nothing is under way on it, so this never waits."""
        self._lent.remove(connection)
        now = _now()
        if not connection.is_closed():
            self._free.append((connection, now))
        while self._free and now - self._free[0][1] > _FREE_SECONDS:
            self._free.popleft()[0].terminate()
        self._room.release()

    async def close(self) -> None:
        """Close all connections, as soon as they are back."""
        self._is_closing = True
        for _ in range(self._size):
            await self._room.acquire()
        goodbyes = [connection.close() for connection, _ in self._free]
        await asyncio.gather(*goodbyes, return_exceptions=True)

    def terminate(self) -> None:
        """End all connections at once."""
        self._is_closing = True
        for connection in [*self._lent, *(connection for connection, _ in self._free)]:
            with suppress(*FAILURES):
                connection.terminate()

    def is_closing(self) -> bool:
        """Whether no connection is lent any more."""
        return self._is_closing

    def get_size(self) -> int:
        """Return how many connections there are."""
        return len(self._lent) + len(self._free)

    def get_idle_size(self) -> int:
        """Return how many of them are free."""
        return len(self._free)

    def get_max_size(self) -> int:
        """Return how many there may be."""
        return self._size

    def _check_open(self) -> None:
        if self._is_closing:
            raise asyncpg.InterfaceError("the pool is closed")

    def _take(self) -> Connection | None:
        """Return the connection that came back last, unless it is of no use any more."""
        while self._free:
            connection, since = self._free.pop()
            if not connection.is_closed():
                if _now() - since <= _FREE_SECONDS:
                    return connection
                connection.terminate()
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
