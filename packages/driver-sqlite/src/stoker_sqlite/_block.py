"""A transaction of the user's that the driver begins and ends."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

import aiosqlite

from stoker.errors import InvalidInput, StokerError, TransactionTooLong
from stoker_sqlite._connection import (
    BUSY_SECONDS,
    FileLocked,
    connect,
    interrupt,
    plain_cursor,
    post,
    run,
    unavailable,
)
from stoker_sqlite._joining import check_file
from stoker_sqlite._locking import begin

__all__ = ["Block"]

T = TypeVar("T")

_LEASE_SHARE: Final = 3
"""The part of a lease, one third, for which the file's only writer may be held."""


class Block:
    """An `async with` block that excludes all other writers, and so is not let run for long.

    A body that is stuck must not keep the file locked, not even one that blocks the event loop.
    So a thread watches the time. It rolls back by way of SQLite's thread, lets nothing more be
    written, and then cancels the body.
    """

    def __init__(
        self,
        path: Path,
        synchronous: str,
        lease: float,
        given: aiosqlite.Connection | None,
        blocks: set[Block],
    ) -> None:
        self._path = path
        self._synchronous = synchronous
        self._seconds = lease / _LEASE_SHARE
        self._given = given
        self._blocks = blocks
        """The blocks of the driver that are open."""
        self._lock = threading.Lock()
        self._ending = False
        self._failure: StokerError | None = None
        self._begun = False
        self._query_only: int | None = None
        self._body_cancelled = False
        self.ended = asyncio.Event()

    async def __aenter__(self) -> aiosqlite.Connection:
        self._loop = asyncio.get_running_loop()
        self._body = asyncio.current_task()
        self._timer = threading.Timer(self._seconds, self._time_out)
        self._timer.daemon = True
        self._abandoned = self._loop.create_future()
        try:
            connection = self._connection = self._given or await connect(self._path)
        except sqlite3.Error as error:
            raise unavailable(error, maybe_applied=False) from error
        try:
            await _to_its_end(run(connection, self._begin))
        except BaseException as error:
            await self._leave(_roll_back if self._begun else None)
            if isinstance(error, sqlite3.Error):
                raise unavailable(error, maybe_applied=False) from error
            raise
        self._blocks.add(self)
        self._timer.start()
        return connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        with self._lock:
            self._ending = True
        self._timer.cancel()
        self._timer.join()
        if self._failure is not None:
            return await self._end_late(self._failure, error)
        await self._leave(_commit if error is None else _roll_back)
        return False

    def expire(self, failure: StokerError) -> None:
        """Roll the block back, and let it end with `failure`; from any thread."""
        with self._lock:
            if self._ending or self._failure is not None:
                return
            self._failure = failure
        interrupt(self._connection)
        post(self._connection, self._abandoned, self._abandon)
        self._loop.call_soon_threadsafe(self._cancel_body)

    def _time_out(self) -> None:
        self.expire(
            TransactionTooLong(
                f"a transaction that excludes all other writers was open for {self._seconds:g} s, "
                "a third of the lease: it was rolled back"
            )
        )

    def _begin(self, raw: sqlite3.Connection) -> None:
        if self._given is None:
            raw.execute(f"pragma synchronous = {self._synchronous}")
        check_file(raw, self._path)
        if raw.in_transaction:
            raise InvalidInput(
                "the connection is in a transaction already: this one could not be committed alone"
            )
        with plain_cursor(raw) as cursor:
            ((own,),) = cursor.execute("pragma busy_timeout").fetchall()
            cursor.execute("pragma busy_timeout = 0")
            try:
                self._begun = begin(raw, time.monotonic() + BUSY_SECONDS, lambda: False)
            finally:
                cursor.execute(f"pragma busy_timeout = {own}")
        if not self._begun:
            raise FileLocked

    def _abandon(self, raw: sqlite3.Connection) -> None:
        """Free the file; what the body still tries must not be committed on its own."""
        with plain_cursor(raw) as cursor:
            if raw.in_transaction:
                cursor.execute("rollback")
            ((self._query_only,),) = cursor.execute("pragma query_only").fetchall()
            cursor.execute("pragma query_only = on")

    def _cancel_body(self) -> None:
        if not self._ending and self._body is not None:
            self._body_cancelled = True
            self._body.cancel()

    async def _end_late(self, failure: StokerError, error: BaseException | None) -> bool:
        """End a block that was rolled back already."""
        try:
            await self._leave(self._restore)
        except asyncio.CancelledError:
            if not self._body_cancelled:
                raise
        if self._body_cancelled and self._body is not None and self._body.uncancel() > 0:
            # Somebody else has cancelled the task too, and that must not be lost.
            if isinstance(error, asyncio.CancelledError):
                return False
            raise asyncio.CancelledError
        raise failure from error

    def _restore(self, raw: sqlite3.Connection) -> None:
        with plain_cursor(raw) as cursor:
            if raw.in_transaction:
                cursor.execute("rollback")
            cursor.execute(f"pragma query_only = {self._query_only}")

    async def _leave(self, last: Callable[[sqlite3.Connection], None] | None) -> None:
        """Do the last thing on the connection, and close it if it is the driver's own."""
        try:
            if last is not None:
                await _to_its_end(run(self._connection, last))
        finally:
            self._blocks.discard(self)
            self.ended.set()
            if self._given is None:
                await _to_its_end(self._connection.close())


def _commit(raw: sqlite3.Connection) -> None:
    if not raw.in_transaction:
        raise InvalidInput("the transaction was ended inside of its block: leave that to the block")
    try:
        with plain_cursor(raw) as cursor:
            cursor.execute("commit")
    except sqlite3.Error as error:
        applied = not raw.in_transaction
        _roll_back(raw)
        if isinstance(error, sqlite3.IntegrityError):
            raise  # a deferred constraint of the user's own
        raise unavailable(error, maybe_applied=applied) from error


def _roll_back(raw: sqlite3.Connection) -> None:
    if raw.in_transaction:
        with plain_cursor(raw) as cursor:
            cursor.execute("rollback")


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await work that cannot be stopped any more; a cancel is raised when it has ended.

    What is in the queue of SQLite's thread will be done, whether its await is cancelled or not.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if (failure := task.exception()) is not None:
        raise failure from cancelled
    raise cancelled
