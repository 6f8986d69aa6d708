"""What an open driver holds: a pool, a listener, and the hints it owes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, Self

from stoker.driver import Wake
from stoker.driver.latch import Latch
from stoker.errors import DriverClosed, DriverUnavailable, StokerError, Unsupported
from stoker_postgres import _schema
from stoker_postgres._asyncpg import Connection, Pool, Row
from stoker_postgres._errors import FAILURES, translated, unreachable
from stoker_postgres._hints import Hints
from stoker_postgres._listener import Listener
from stoker_postgres._source import Source, Users
from stoker_postgres._sql import statement
from stoker_postgres._statements import OnConnection, channel_of
from stoker_postgres._transaction import RELEASE_SECONDS, abandon, calm, transaction

__all__ = ["Client", "opened"]

_GRACE_SECONDS: Final = 5.0
"""How long a close lets operations in flight go on."""
_ACQUIRE_SECONDS: Final = 30.0
_SUBSCRIBE_SECONDS: Final = 1.0
"""How long the first wait for a queue waits until somebody listens."""
_RESERVED: Final = 2
"""Connections that blocks of users leave to the operations, heartbeats above all."""
_MARK: Final = "\n-- by the driver itself"
"""A plan stays with the text of its statement. Without this the driver would run what was planned
in a user's transaction on the same connection, with other settings."""


async def opened(source: Source, schema: str) -> Pool:
    """Return the pool of a source, which has a connection by then.

    Raises:
        DriverUnavailable: the server cannot be reached.
        IncompatibleStore: it is too old, or does not let this role in.
        InvalidInput: the URL is wrong.
    """
    try:
        return await source.open()
    except (*FAILURES, ValueError) as error:  # asyncpg reads the URL at last
        raise unreachable(error, schema) from error


class Client:
    """Runs statements, each on a connection of the pool and in a transaction of its own."""

    def __init__(self, source: Source, pool: Pool, schema: str) -> None:
        self.schema = schema
        self.source = source
        self.channel = channel_of(schema)
        self.hints = Hints(self._send_hints)
        self.room_for_blocks = asyncio.Semaphore(max(1, source.size - _RESERVED))
        self._pool = pool
        self._latch = Latch()
        self._listener = Listener(
            self.channel,
            self._latch,
            lambda: source.connect(pool),
            lambda connection: source.let_go(pool, connection),
        )
        self._process = os.getpid()
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def open(cls, source: Source, schema: str, *, migrate: bool) -> Self:
        """Connect, and create or check the schema."""
        pool = await opened(source, schema)
        client = cls(source, pool, schema)
        try:
            async with client.connection() as connection:
                if migrate:
                    await _schema.migrate(connection, schema)
                await _schema.check(connection, schema)
        except BaseException:
            await source.close(pool)
            raise
        return client

    @property
    def is_inherited(self) -> bool:
        """Whether this process is a fork of the one that opened the client."""
        return self._process != os.getpid()

    async def rows(self, name: str, *parameters: Any) -> list[Row]:
        """Run a statement and return all its rows."""
        query = statement(name, self.schema) + _MARK
        async with self.connection() as connection:
            if self.source.is_set_up:
                return await connection.fetch(query, *parameters)
            async with transaction(connection, self.source.begin):
                return await connection.fetch(query, *parameters)

    @asynccontextmanager
    async def together(self) -> AsyncIterator[OnConnection]:
        """Run the statements of a block in one transaction."""
        async with self.connection() as connection, transaction(connection, self.source.begin):
            yield OnConnection(connection, self.schema)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection; what the library raises in the block becomes the driver's error."""
        self._in_flight += 1
        self._idle.clear()
        try:
            connection = await self.acquire()
            try:
                yield connection
            except BaseException as error:
                # A statement that was given up, or cancelled, may still be running.
                await calm(connection)
                if isinstance(error, FAILURES):
                    raise translated(error, self.schema) from error
                raise
            finally:
                await self.release(connection)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def acquire(self) -> Connection:
        """Take a connection out of the pool."""
        try:
            return await self._pool.acquire(timeout=_ACQUIRE_SECONDS)
        except FAILURES as error:
            raise self._refusal(error) from error

    async def release(self, connection: Connection) -> None:
        """Give a connection back; a broken one is replaced when the next is asked for."""
        try:
            await self._pool.release(connection, timeout=RELEASE_SECONDS)
        except FAILURES:
            abandon(connection)

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        """Wait for a hint; the first wait for a queue only begins to keep them."""
        if self.source.pooled:
            raise Unsupported("behind a pooler nobody can listen: the driver lacks `wakeup`")
        if self._latch.begin(queues):
            self._listener.start()
            # Should this be too short: whoever begins to listen hints at everything.
            await self._listener.is_live(min(timeout.total_seconds(), _SUBSCRIBE_SECONDS))
            return Wake.WORK
        return await self._latch.wait(queues, timeout.total_seconds())

    async def close(self) -> None:
        """Let operations in flight end, then fail them, and free everything."""
        self._latch.close()
        await self._listener.close()
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                await self.hints.close()
                await self._idle.wait()
                await self.source.close(self._pool)
        except TimeoutError:
            self.source.terminate(self._pool)

    def _refusal(self, error: Exception) -> StokerError:
        """Return what to raise when the pool gives no connection."""
        pool = self._pool
        if isinstance(self.source, Users) and pool.is_closing():
            return DriverClosed(
                "the pool is closed: open it before the driver, and close it after the driver"
            )
        if isinstance(error, TimeoutError) and pool.get_size() - pool.get_idle_size() >= (
            pool.get_max_size()
        ):
            return DriverUnavailable(
                f"all {pool.get_max_size()} connections of the pool have been taken for "
                f"{_ACQUIRE_SECONDS:g} seconds: let it have more, or keep them for less long",
                maybe_applied=False,
            )
        return unreachable(error, self.schema)

    async def _send_hints(self, queues: list[str]) -> None:
        await self.rows("hint", self.channel, [f"W{queue}" for queue in queues])
