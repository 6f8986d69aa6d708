"""The schema of the file: created, brought up to date, or refused with what to do.

A file says what it is in its own header: `application_id` is this driver's, `user_version` counts
the migrations that were applied. Whoever opens the file first applies what is missing, under the
write lock, so that any number of clients may open a new file at the same time.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stoker.errors import DriverUnavailable, IncompatibleStore
from stoker_sqlite._connection import is_busy
from stoker_sqlite._locking import begin
from stoker_sqlite._sql import migrations

__all__ = ["APPLICATION_ID", "check_library", "check_place", "prepare", "refusal"]

APPLICATION_ID: Final = 0x53746F6B
"""The letters "Stok"."""

_OLDEST_SQLITE: Final = (3, 37, 0)
"""Has `returning`, `update ... from` and strict tables."""

_OPEN_SECONDS: Final = 10.0


def check_library(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Refuse an SQLite library that is too old for the statements of this driver."""
    if version < _OLDEST_SQLITE:
        found, needed = (".".join(map(str, part)) for part in (version, _OLDEST_SQLITE))
        raise IncompatibleStore(
            f"this Python is linked to SQLite {found}; at least {needed} is needed: "
            "use another build of Python, or a newer SQLite library"
        )


def check_place(path: Path) -> None:
    """Refuse a path that cannot be a database, before SQLite says less about it."""
    if path.is_dir():
        raise IncompatibleStore(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise IncompatibleStore(f"the folder {path.parent} does not exist: create it first")


def prepare(raw: sqlite3.Connection, path: Path, synchronous: str) -> None:
    """Make the file a store of the present version, for a connection that writes.

    Raises:
        IncompatibleStore: it is something else, or newer, or cannot be written.
        DriverUnavailable: others have held it for too long.
    """
    give_up_at = time.monotonic() + _OPEN_SECONDS
    while True:
        try:
            _prepare(raw, path, give_up_at)
            # How durable a commit is, is a setting of the connection, unlike the journal mode.
            raw.execute(f"pragma synchronous = {synchronous}")
            return
        except sqlite3.DatabaseError as error:
            if not is_busy(error):
                raise refusal(error, path) from error
            if time.monotonic() >= give_up_at:
                raise DriverUnavailable(
                    f"{path} is locked by another connection", maybe_applied=False
                ) from error
        # Switching to WAL cannot wait for other connections as other statements can.
        time.sleep(0.005)


def _prepare(raw: sqlite3.Connection, path: Path, give_up_at: float) -> None:
    if _missing(raw, path):
        # WAL is a property of the file; it cannot be changed within a transaction.
        raw.execute("pragma journal_mode = wal").fetchall()
        if not begin(raw, give_up_at, lambda: False):
            raise DriverUnavailable(f"{path} is locked by another connection", maybe_applied=False)
        try:
            _migrate(raw, path)
            raw.execute("commit")
        except BaseException:
            raw.execute("rollback")
            raise
    mode = raw.execute("pragma journal_mode").fetchone()[0]
    if mode != "wal":
        raw.execute("pragma journal_mode = wal").fetchall()


def _migrate(raw: sqlite3.Connection, path: Path) -> None:
    """Apply what is missing now that nobody else can."""
    for script in _missing(raw, path):
        for sql in _statements(script):
            raw.execute(sql)
    raw.execute(f"pragma application_id = {APPLICATION_ID}")
    raw.execute(f"pragma user_version = {len(migrations())}")


def _missing(raw: sqlite3.Connection, path: Path) -> tuple[str, ...]:
    """Return the migrations that the file lacks; refuse a file that is not for this driver."""
    application, version, tables = _header(raw)
    if application == 0 and version == 0 and tables == 0:
        return migrations()
    if application != APPLICATION_ID:
        raise IncompatibleStore(
            f"{path} is a database of another application: name another file. To keep your own "
            "tables and your jobs in one file, let the driver create it, then add your tables"
        )
    known = len(migrations())
    if version > known:
        raise IncompatibleStore(
            f"{path} has version {version} of the schema and this stoker-sqlite knows {known}: "
            "upgrade stoker-sqlite, here and in every process that uses the file"
        )
    return migrations()[version:]


def _header(raw: sqlite3.Connection) -> tuple[int, int, int]:
    """Return application, version and number of tables as of one moment: others may migrate."""
    alone = raw.in_transaction
    if not alone:
        raw.execute("begin")
    try:
        tables = raw.execute("select count(*) from sqlite_schema").fetchone()[0]
        application = raw.execute("pragma application_id").fetchone()[0]
        version = raw.execute("pragma user_version").fetchone()[0]
    finally:
        if not alone:
            raw.execute("rollback")
    return application, version, tables


def _statements(script: str) -> Iterator[str]:
    """Split a script; `executescript` would commit the transaction that is open."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def refusal(error: sqlite3.Error, path: Path) -> IncompatibleStore | DriverUnavailable:
    """Return what to raise when SQLite cannot use the file, with what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return IncompatibleStore(f"{path} is not an SQLite database: name another file")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return IncompatibleStore(
            f"{path} cannot be written ({error}): the process needs write permission for the "
            "file and for its folder, where SQLite keeps its write-ahead log"
        )
    return DriverUnavailable(f"SQLite cannot use {path}: {error}", maybe_applied=False)
