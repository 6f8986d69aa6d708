"""An open transaction, as the operations of the driver see it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from stoker_sqlite._sql import statement

__all__ = ["Hints", "HintsOf", "Transaction", "array"]

_array: Final = json.JSONEncoder(separators=(",", ":")).encode


class Hints(NamedTuple):
    """How many hints a queue has given since it exists."""

    work: int
    cancels: int


HintsOf = dict[str, Hints]


class Transaction:
    """What an operation runs its statements on, in SQLite's thread.

    Lists cross the border to SQLite as JSON texts in both directions. Python's sqlite3 gives up
    the interpreter's lock for every row that it steps to, and a busy event loop takes its time to
    give it back: an operation on a hundred jobs should be a handful of steps, not hundreds.
    """

    __slots__ = ("cursor", "hints")

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.cursor = cursor
        self.hints: HintsOf = {}
        """What waiting workers are to be told once this is committed."""

    def do(self, name: str, parameters: Mapping[str, object]) -> int:
        """Run a statement that answers nothing; return how many rows it changed."""
        return self.cursor.execute(statement(name), parameters).rowcount

    def rows(self, name: str, parameters: Mapping[str, object]) -> list[Any]:
        """Return all rows of a statement."""
        return self.cursor.execute(statement(name), parameters).fetchall()

    def value(self, name: str, parameters: Mapping[str, object]) -> Any:
        """Return the one value of a statement; `None` if it has no row."""
        rows = self.cursor.execute(statement(name), parameters).fetchall()
        return rows[0][0] if rows else None

    def parsed(self, name: str, parameters: Mapping[str, object]) -> Any:
        """Return the one value of a statement, a JSON text, as what it means."""
        text = self.value(name, parameters)
        return None if text is None else json.loads(text)

    def places(self, queue: str, count: int) -> int:
        """Reserve places for `count` jobs of a queue, hint at them, and return the first."""
        place, work, cancels = self.parsed("queue_places", {"queue": queue, "count": count})
        self.hints[queue] = Hints(work, cancels)
        return int(place)

    def hint(self, name: str, queue: str) -> None:
        """Run a statement that gives a hint for a queue."""
        counts = self.parsed(name, {"queue": queue})
        if counts is not None:
            self.hints[queue] = Hints(*counts)


def array(items: object) -> str:
    """Return items as the JSON text of an array."""
    return _array(items)
