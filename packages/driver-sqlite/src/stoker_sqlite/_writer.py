"""The writing side of a client: operations that wait together are committed together.

A commit waits for the disk. So whatever arrives while a commit is under way forms the next
transaction: a lone caller pays one commit, a thousand callers at once share a few. Each operation
has a savepoint of its own, and gets its own answer or its own error.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

import aiosqlite

from stoker.errors import DriverClosed, DriverUnavailable
from stoker_sqlite._connection import (
    BUSY_SECONDS,
    FileLocked,
    interrupt,
    plain_cursor,
    run,
    unavailable,
)
from stoker_sqlite._locking import begin
from stoker_sqlite._transaction import HintsOf, Transaction

__all__ = ["Writer"]

T = TypeVar("T")

_FULL_AFTER: Final = 0.02
"""Seconds after which a transaction takes no more operations: others want to write too."""


class _Work(Generic[T]):
    """An operation that waits, and its outcome once it ran."""

    __slots__ = ("answer", "error", "future", "give_up_at", "hints", "operation")

    def __init__(self, operation: Callable[[Transaction], T], future: asyncio.Future[T]) -> None:
        self.operation = operation
        self.future = future
        self.give_up_at = time.monotonic() + BUSY_SECONDS
        self.hints: HintsOf = {}
        self.answer: T | None = None
        self.error: Exception | None = None

    def settle(self) -> None:
        """Give the caller its answer, unless it has gone away."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.answer)  # type: ignore[arg-type] # it ran
        else:
            self.future.set_exception(self.error)


class Writer:
    """The one connection of a client that writes."""

    def __init__(
        self, connection: aiosqlite.Connection, publish: Callable[[HintsOf], None]
    ) -> None:
        self._connection = connection
        self._publish = publish
        self._waiting: deque[_Work[Any]] = deque()
        self._running: Sequence[_Work[Any]] = ()
        self._pump: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self, operation: Callable[[Transaction], T]) -> T:
        """Run an operation in a transaction, perhaps with others; return when it is committed."""
        if self._stopped:
            raise DriverClosed("the driver is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Work(operation, future))
        if self._pump is None:
            self._pump = asyncio.create_task(self._commit_all(), name="stoker-sqlite-writer")
        return await future

    async def close(self, grace: float) -> None:
        """Let operations end for `grace` seconds, then fail them; close the connection."""
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=grace)
        self._stopped = True
        failure = "the driver was closed before this had ended"
        _fail(self._running, DriverUnavailable(failure, maybe_applied=True))
        _fail(self._waiting, DriverUnavailable(failure, maybe_applied=False))
        if self._pump is not None:
            interrupt(self._connection)
            await asyncio.wait({self._pump})
        await self._connection.close()

    async def _commit_all(self) -> None:
        try:
            while group := self._next_group():
                self._running = group
                done = await run(self._connection, self._commit, group)
                self._running = ()
                self._waiting.extendleft(reversed(group[done:]))
                hints: HintsOf = {}
                for work in group[:done]:
                    hints |= work.hints
                    work.settle()
                self._publish(hints)
        except BaseException as error:
            failure = DriverUnavailable(f"the writer stopped: {error!r}", maybe_applied=True)
            _fail([*self._running, *self._waiting], failure)
            raise
        finally:
            self._pump = None

    def _next_group(self) -> list[_Work[Any]]:
        """Return what waits, without the callers that have gone away."""
        group = [work for work in self._waiting if not work.future.done()]
        self._waiting.clear()
        return group

    def _commit(self, raw: sqlite3.Connection, group: Sequence[_Work[Any]]) -> int:
        """Run some of a group in one transaction; return how many have their outcome now."""
        done = 0
        committing = False
        try:
            if not begin(raw, group[0].give_up_at, lambda: self._stopped):
                return _give_up(group)
            full_at = time.monotonic() + _FULL_AFTER
            with plain_cursor(raw) as cursor:
                for work in group:
                    done += 1
                    _attempt(Transaction(cursor), work)
                    if time.monotonic() > full_at:
                        break
            committing = True
            raw.execute("commit")
        except Exception as error:  # noqa: BLE001 - every caller of the transaction gets it
            if raw.in_transaction:
                raw.execute("rollback")
            done = max(done, 1)
            for work in group[:done]:
                work.hints = {}
                work.error = unavailable(error, maybe_applied=committing)
        return done


def _attempt(tx: Transaction, work: _Work[Any]) -> None:
    """Run one operation; undo it alone if it fails."""
    tx.cursor.execute("savepoint stoker")
    try:
        work.answer = work.operation(tx)
    except Exception as error:
        if not tx.cursor.connection.in_transaction:
            raise  # SQLite has rolled back everything, as it does when the disk is full
        tx.cursor.execute("rollback to stoker")
        work.error = unavailable(error, maybe_applied=False)
    else:
        work.hints = tx.hints
    tx.cursor.execute("release stoker")


def _give_up(group: Sequence[_Work[Any]]) -> int:
    """Fail the operations that have waited for the lock long enough: the first ones."""
    now = time.monotonic()
    late = [work for work in group if work.give_up_at <= now] or group[:1]
    for work in late:
        work.error = FileLocked()
    return len(late)


def _fail(works: Iterable[_Work[Any]], failure: DriverUnavailable) -> None:
    for work in works:
        work.error = failure
        work.settle()
