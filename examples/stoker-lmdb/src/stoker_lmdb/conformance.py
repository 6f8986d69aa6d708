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
from stoker_lmdb._store import Store
from stoker_lmdb._transaction import transact

__all__ = ["LmdbHarness"]


class LmdbHarness(Harness[Path]):
    """A namespace is a folder of its own, with a store in it."""

    async def namespace(self) -> Path:
        return Path(mkdtemp(prefix="stoker-lmdb-"))

    async def discard(self, namespace: Path) -> None:
        shutil.rmtree(namespace)

    async def connect(self, namespace: Path) -> Driver:
        return LmdbDriver(namespace)

    async def footprint(self, namespace: Path) -> int:
        return transact(namespace, 1 << 30, Store.rows, None)
