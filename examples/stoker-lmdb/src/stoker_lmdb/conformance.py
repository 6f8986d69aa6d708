"""The harness: how the conformance suite gets stores, and clients of them.

pytest --pyargs stoker_conformance --harness stoker_lmdb.conformance:LmdbHarness
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

from stoker.driver import Driver
from stoker_conformance import Harness
from stoker_lmdb import LmdbDriver
from stoker_lmdb._environment import acquire, release

__all__ = ["LmdbHarness"]


class LmdbHarness(Harness[Path]):
    """A namespace is a folder of its own, with an environment in it."""

    async def namespace(self) -> Path:
        return Path(mkdtemp(prefix="stoker-lmdb-"))

    async def discard(self, namespace: Path) -> None:
        shutil.rmtree(namespace)

    async def connect(self, namespace: Path) -> Driver:
        return LmdbDriver(namespace)

    async def footprint(self, namespace: Path) -> int:
        """Count the rows of all sub-databases, as LMDB itself does.

        A process opens an environment once, so it is counted through the one that clients share.
        """
        environment = acquire(namespace, map_size=1 << 30)
        try:
            with environment.raw.begin() as txn:
                return sum(txn.stat(table)["entries"] for table in environment.tables.values())
        finally:
            release(environment)
