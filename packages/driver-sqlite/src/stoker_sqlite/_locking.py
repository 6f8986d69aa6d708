"""Beginning a transaction that may write, when other connections may be writing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Final

from stoker_sqlite._connection import is_busy

__all__ = ["begin"]

_QUICK: Final = 0.05
_QUICK_PAUSE: Final = 0.001
_SLOW_PAUSE: Final = 0.005


def begin(raw: sqlite3.Connection, give_up_at: float, stopped: Callable[[], bool]) -> bool:
    """Take the file's write lock; return whether that was possible until `give_up_at`.

    To be used in the connection's thread, with a busy timeout of zero: SQLite's own waiting backs
    off to a tenth of a second and cannot be stopped; this driver holds the lock for milliseconds.
    """
    started = time.monotonic()
    while True:
        try:
            raw.execute("begin immediate")
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
        else:
            return True
        now = time.monotonic()
        if now >= give_up_at or stopped():
            return False
        time.sleep(_QUICK_PAUSE if now - started < _QUICK else _SLOW_PAUSE)
