"""The reading side of a client: a connection of its own, so that no search holds up a claim."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

import aiosqlite

from stoker.errors import DriverClosed, DriverUnavailable
from stoker_sqlite._connection import interrupt, plain_cursor, run, unavailable
from stoker_sqlite._transaction import Transaction

__all__ = ["Reader"]

T = TypeVar("T")


class Reader:
    """The one connection of a client that reads, and sees every transaction committed before."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._running: set[asyncio.Task[Any]] = set()
        self._stopped = False

    async def run(self, question: Callable[[Transaction], T]) -> T:
        """Answer a question as of one moment."""
        if self._stopped:
            raise DriverClosed("the driver is closed")
        asking: asyncio.Task[T] = asyncio.create_task(run(self._connection, _answer, question))
        self._running.add(asking)
        asking.add_done_callback(self._running.discard)
        try:
            return await asking
        except sqlite3.Error as error:
            if self._stopped:
                failure = "the driver was closed before this had ended"
                raise DriverUnavailable(failure, maybe_applied=False) from error
            raise unavailable(error, maybe_applied=False) from error

    async def close(self, grace: float) -> None:
        """Let questions end for `grace` seconds, then fail them; close the connection."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        self._stopped = True
        while self._running:
            interrupt(self._connection)
            await asyncio.wait(self._running, timeout=0.1)
        await self._connection.close()


def _answer(raw: sqlite3.Connection, question: Callable[[Transaction], T]) -> T:
    raw.execute("begin")
    try:
        with plain_cursor(raw) as cursor:
            return question(Transaction(cursor))
    finally:
        raw.execute("rollback")
