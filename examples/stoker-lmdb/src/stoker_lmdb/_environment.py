"""The files of a store, opened once a process: LMDB forbids to open them a second time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

import lmdb

from stoker.errors import DriverUnavailable, IncompatibleStore
from stoker_lmdb._layout import PLACES, TABLES

_FORMAT: Final = b"1"


class Environment:
    """One LMDB environment, and how many clients of this process use it."""

    def __init__(self, path: Path, map_size: int) -> None:
        self.path = path
        self.users = 0
        self.raw = lmdb.open(str(path), map_size=map_size, max_dbs=len(TABLES))
        try:
            self.raw.reader_check()  # readers that were killed would keep old pages alive
            with self.raw.begin(write=True) as txn:
                self.tables = {
                    name: self.raw.open_db(name.encode(), txn, dupsort=name in PLACES)
                    for name in TABLES
                }
                found = txn.get(b"format", db=self.tables["meta"])
                if found not in (None, _FORMAT):
                    raise IncompatibleStore(
                        f"{path} has the layout {found!r}, this stoker-lmdb needs {_FORMAT!r}"
                    )
                txn.put(b"format", _FORMAT, db=self.tables["meta"])
        except BaseException:
            self.raw.close()
            raise


_environments: Final[dict[Path, Environment]] = {}
_lock: Final = threading.Lock()


def acquire(path: Path, map_size: int) -> Environment:
    """Return the environment in the folder `path`, opened or created if nobody uses it yet.

    Raises:
        IncompatibleStore: the files there are of another kind, or another version.
        DriverUnavailable: they cannot be opened.
    """
    path = path.resolve()
    with _lock:
        try:
            environment = _environments.get(path) or Environment(path, map_size)
        except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.IncompatibleError) as error:
            raise IncompatibleStore(f"{path} is no store of stoker-lmdb: {error}") from error
        except (lmdb.Error, OSError) as error:
            raise DriverUnavailable(str(error), maybe_applied=False) from error
        environment.users += 1
        return _environments.setdefault(path, environment)


def release(environment: Environment) -> None:
    """Give an environment back; the last client closes it."""
    with _lock:
        environment.users -= 1
        if not environment.users:
            del _environments[environment.path]
            environment.raw.close()
