"""The schema of the file: created, brought up to date, or refused with what to do.

The file may be an application's own. The driver's tables are beside the others, and the table
`stoker_schema` says how many migrations were applied; the header of the file (`application_id`,
`user_version`) is the application's, and stays as it is. Whoever opens the file first applies what
is missing, under the write lock, so that any number of clients may do so at the same time.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from stoker.driver import Migration
from stoker.errors import DriverUnavailable, IncompatibleStore
from stoker_sqlite._connection import is_busy
from stoker_sqlite._locking import begin
from stoker_sqlite._sql import migrations

__all__ = ["check_library", "check_place", "missing", "prepare", "refusal", "steps"]

_log: Final = logging.getLogger(__name__)

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
    if path.exists() and not os.access(path, os.W_OK):
        raise _not_writable(path, "no write permission")


def steps(done: int = 0) -> list[Migration]:
    """Return the migrations that lead from version `done` to the newest."""
    return [
        Migration(
            version,
            f"{version:04}",
            f"{script}\n\nupdate stoker_schema set version = {version};",
        )
        for version, script in enumerate(migrations(), 1)
        if version > done
    ]


def prepare(raw: sqlite3.Connection, path: Path, synchronous: str) -> list[Migration]:
    """Make the file a store of the present version, for a connection that writes.

    Returns the migrations that it took.

    Raises:
        IncompatibleStore: it is something else, or newer, or cannot be written.
        DriverUnavailable: others have held it for too long.
    """
    give_up_at = time.monotonic() + _OPEN_SECONDS
    while True:
        try:
            applied = _prepare(raw, path, give_up_at)
            # How durable a commit is, is a setting of the connection, unlike the journal mode.
            raw.execute(f"pragma synchronous = {synchronous}")
            return applied
        except sqlite3.DatabaseError as error:
            if not is_busy(error):
                raise refusal(error, path) from error
            if time.monotonic() >= give_up_at:
                raise DriverUnavailable(
                    f"{path} is locked by another connection", maybe_applied=False
                ) from error
        # Switching to WAL cannot wait for other connections as other statements can.
        time.sleep(0.005)


def _prepare(raw: sqlite3.Connection, path: Path, give_up_at: float) -> list[Migration]:
    is_complete = not missing(raw, path)
    _write_ahead(raw, path)
    if is_complete:
        return []
    if not begin(raw, give_up_at, lambda: False):
        raise DriverUnavailable(f"{path} is locked by another connection", maybe_applied=False)
    try:
        applied = missing(raw, path)  # now that nobody else can apply it
        for migration in applied:
            for sql in _statements(migration.script):
                raw.execute(sql)
        raw.execute("commit")
    except BaseException:
        raw.execute("rollback")
        raise
    return applied


def _write_ahead(raw: sqlite3.Connection, path: Path) -> None:
    """Put the file into WAL mode: for good, and not within a transaction."""
    before = raw.execute("pragma journal_mode").fetchone()[0]
    if before == "wal":
        return
    used = raw.execute("pragma page_count").fetchone()[0] > 0
    after = raw.execute("pragma journal_mode = wal").fetchone()[0]
    if after != "wal":
        raise IncompatibleStore(
            f"{path} cannot be put into WAL mode, it stays in {after} mode: "
            "name a file on a local disk"
        )
    if used:
        _log.info("%s is in WAL mode from now on; its journal mode was %s", path, before)


def missing(raw: sqlite3.Connection, path: Path) -> list[Migration]:
    """Return the migrations that the file lacks; refuse a file that is not for this driver."""
    encoding, names, version = _found(raw)
    if encoding != "UTF-8":
        raise IncompatibleStore(
            f"{path} holds its texts in {encoding}, which would put ids into another order: "
            "name a file in UTF-8, as SQLite makes them unless told otherwise"
        )
    if version is None:
        raise IncompatibleStore(
            f"{path} has {', '.join(names)}, but no table stoker_schema with their version: they "
            "are not this driver's, and names in stoker_* have to be. Rename them, or name "
            "another file"
        )
    known = len(migrations())
    if version > known:
        raise IncompatibleStore(
            f"{path} has version {version} of the schema and this stoker-sqlite knows {known}: "
            "upgrade stoker-sqlite, here and in every process that uses the file"
        )
    return steps(version)


def _found(raw: sqlite3.Connection) -> tuple[str, list[str], int | None]:
    """Return encoding, names in stoker_*, and version as of one moment: others may migrate."""
    alone = raw.in_transaction
    if not alone:
        raw.execute("begin")
    try:
        encoding = raw.execute("pragma encoding").fetchone()[0]
        ours = r"select name from sqlite_schema where name like 'stoker\_%' escape '\'"
        names = sorted(name for (name,) in raw.execute(ours))
        return encoding, names, _version(raw, names)
    finally:
        if not alone:
            raw.execute("rollback")


def _version(raw: sqlite3.Connection, names: Sequence[str]) -> int | None:
    """Return how many migrations were applied; `None` if the tables are somebody else's."""
    if not names:
        return 0
    columns = [row[1] for row in raw.execute("pragma table_info(stoker_schema)")]
    if columns != ["version"]:
        return None
    versions = [version for (version,) in raw.execute("select version from stoker_schema limit 2")]
    return versions[0] if len(versions) == 1 and isinstance(versions[0], int) else None


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
        return _not_writable(path, error)
    return DriverUnavailable(f"SQLite cannot use {path}: {error}", maybe_applied=False)


def _not_writable(path: Path, why: object) -> IncompatibleStore:
    return IncompatibleStore(
        f"{path} cannot be written ({why}): the process needs write permission for the "
        "file and for its folder, where SQLite keeps its write-ahead log"
    )
