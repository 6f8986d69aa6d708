"""One connection to the file: how it is opened, and how work gets to SQLite's own thread.

An aiosqlite connection has a thread, and runs there what is put into its queue. Its public
methods run one statement each, so that an operation of five statements would cross between the
threads ten times. This driver queues one function an operation instead. aiosqlite has no public
name for that; the private names that it takes are used in this file and nowhere else.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Final, TypeVar, cast

import aiosqlite

from stoker.errors import DriverUnavailable, InvalidInput, StokerError

__all__ = [
    "BUSY_SECONDS",
    "FileLocked",
    "connect",
    "interrupt",
    "is_busy",
    "plain_cursor",
    "post",
    "run",
    "unavailable",
]

T = TypeVar("T")

BUSY_SECONDS: Final = 2.0
"""How long anything waits for a lock that another connection holds."""


class FileLocked(DriverUnavailable):
    """Another connection holds the file's write lock, and held it for too long."""

    def __init__(self) -> None:
        super().__init__(
            f"another transaction has held the file for {BUSY_SECONDS:g} s", maybe_applied=False
        )


_BUSY_CODES: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


async def connect(path: Path, *, busy_seconds: float = BUSY_SECONDS) -> aiosqlite.Connection:
    """Open a connection in autocommit mode, whose transactions are begun by hand."""
    connection = aiosqlite.connect(path, isolation_level=None, timeout=busy_seconds)
    # A program that ends without closing its driver must not wait for this thread for ever. Until
    # release 0.21 of aiosqlite, a connection is its own thread.
    thread = cast("Thread", getattr(connection, "_thread", connection))
    thread.daemon = True
    return await connection


async def run(
    connection: aiosqlite.Connection,
    function: Callable[..., T],
    *arguments: object,
) -> T:
    """Run `function(sqlite3 connection, *arguments)` in the connection's thread."""
    try:
        raw = connection._conn  # noqa: SLF001 - see the top of this file
    except ValueError as error:
        raise InvalidInput("the connection is closed, or was not opened yet") from error
    answer: T = await connection._execute(function, raw, *arguments)  # type: ignore[no-untyped-call]  # noqa: SLF001
    return answer


def post(
    connection: aiosqlite.Connection,
    done: asyncio.Future[None],
    function: Callable[[sqlite3.Connection], None],
) -> None:
    """Queue a function for the connection's thread, from any thread; `done` gets its outcome."""
    raw = connection._conn  # noqa: SLF001 - see the top of this file
    connection._tx.put_nowait((done, partial(function, raw)))  # noqa: SLF001


def interrupt(connection: aiosqlite.Connection) -> None:
    """Make the statement that runs now, if any, end with an error; from any thread."""
    connection._conn.interrupt()  # noqa: SLF001 - see the top of this file


@contextmanager
def plain_cursor(raw: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """Lend a cursor that answers tuples of plain values, whatever the connection is set to.

    To be used in the connection's thread: nothing else runs on it meanwhile.
    """
    row_factory, text_factory = raw.row_factory, raw.text_factory
    raw.row_factory, raw.text_factory = None, str
    try:
        cursor = raw.cursor()
        try:
            yield cursor
        finally:
            cursor.close()
    finally:
        raw.row_factory, raw.text_factory = row_factory, text_factory


def is_busy(error: BaseException) -> bool:
    """Whether another connection's lock is the reason of an error."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BUSY_CODES


def unavailable(error: Exception, *, maybe_applied: bool) -> StokerError:
    """Return what the driver raises for an error of SQLite; others are passed on as they are."""
    if isinstance(error, StokerError):
        return error
    if is_busy(error):
        failure: DriverUnavailable = FileLocked()
    elif isinstance(error, OverflowError):
        return _caused(InvalidInput(f"a number is out of SQLite's range: {error}"), error)
    elif isinstance(error, UnicodeEncodeError):
        return _caused(InvalidInput("a text holds a lone surrogate"), error)
    else:
        failure = DriverUnavailable(f"SQLite: {error}", maybe_applied=maybe_applied)
    return _caused(failure, error)


def _caused(failure: StokerError, error: Exception) -> StokerError:
    failure.__cause__ = error
    return failure
