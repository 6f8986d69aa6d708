"""Jobs inside the user's own transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from stoker.errors import InvalidInput
from stoker_sqlite._connection import plain_cursor
from stoker_sqlite._transaction import Transaction

__all__ = ["check_file", "within"]

T = TypeVar("T")


def within(raw: sqlite3.Connection, path: Path, operation: Callable[[Transaction], T]) -> T:
    """Run an operation inside the transaction that is open on a user's connection.

    Its hints are not published: whether it is committed is for the user to say. Bells notice the
    commit in the file, within the time of a look.
    """
    check_file(raw, path)
    if not raw.in_transaction:
        raise InvalidInput("no transaction is open on this connection: begin one first")
    with plain_cursor(raw) as cursor:
        cursor.execute("savepoint stoker")
        try:
            answer = operation(Transaction(cursor))
        except BaseException:
            if raw.in_transaction:
                cursor.execute("rollback to stoker")
                cursor.execute("release stoker")
            raise
        cursor.execute("release stoker")
    return answer


def check_file(raw: sqlite3.Connection, path: Path) -> None:
    """Refuse a connection to another database than the driver's."""
    with plain_cursor(raw) as cursor:
        names = [row[2] for row in cursor.execute("pragma database_list") if row[1] == "main"]
    if names and names[0] and Path(names[0]).samefile(path):
        return
    found = names[0] if names and names[0] else "a private database"
    raise InvalidInput(f"the connection is to {found}, the driver's file is {path}")
