"""One call: the files of a store are locked, opened, changed in one transaction, and closed."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import lmdb

from stoker.driver import to_micros
from stoker.errors import DriverUnavailable, IncompatibleStore
from stoker_lmdb._store import TABLES, Store

T = TypeVar("T")

_FORMAT: Final = b"2"
_PATIENCE: Final = 2.0
"""Seconds that a call waits for the others."""


def transact(path: Path, map_size: int, work: Callable[[Store], T], now: datetime | None) -> T:
    """Do something in one transaction: all of it is on disk on return, or nothing ever is.

    Raises:
        IncompatibleStore: the files there are of another kind, or another version.
        DriverUnavailable: another call took too long, or the disk or the map is full.
    """
    committing = False
    try:
        path.mkdir(exist_ok=True)
        with (
            _turn(path),
            lmdb.open(str(path), map_size=map_size, max_dbs=len(TABLES)) as environment,
            environment.begin(write=True) as txn,
        ):
            tables = {
                name: environment.open_db(name.encode(), txn, dupsort=name == "places")
                for name in TABLES
            }
            found = txn.get(b"format", db=tables["meta"])
            if found is None:
                txn.put(b"format", _FORMAT, db=tables["meta"])
            elif found != _FORMAT:
                raise IncompatibleStore(f"{path} has the layout {found!r}, not {_FORMAT!r}")
            # The time is read here, and not before the wait: it rises from call to call.
            moment = time.time_ns() // 1_000 if now is None else to_micros(now)
            answer = work(Store(txn, tables, moment))
            committing = True
        return answer
    except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.IncompatibleError) as error:
        raise IncompatibleStore(f"{path} is no store of stoker-lmdb: {error}") from error
    except (lmdb.Error, OSError) as error:
        raise DriverUnavailable(str(error), maybe_applied=committing) from error


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Keep all others out, in this process and in others; if this one is killed, it is over.

    LMDB has such a lock of its own, but waits for it without a limit. It also forbids a process to
    open the same files twice at a time, which cannot happen under this one.
    """
    end_of_wait = time.monotonic() + _PATIENCE
    with (path / "turn.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end_of_wait:
                    raise DriverUnavailable(
                        f"others have kept the store busy for {_PATIENCE:g} s", maybe_applied=False
                    ) from None
                time.sleep(0.001)
        try:
            yield
        finally:  # to close the file would not do: a process that was forked meanwhile has it too
            fcntl.flock(file, fcntl.LOCK_UN)
