"""The stores behind the server; it is told one of them by name."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

from harnesses import MemoryHarness, SqliteHarness

from stoker.driver import Claimed, Want
from stoker_memory import MemoryDriver
from stoker_sqlite import SqliteDriver

__all__ = ["DurableStore", "VolatileStore"]


class DurableStore(SqliteDriver):
    """A file, which outlives the server."""

    async def footprint(self) -> int:
        """Count what the file holds."""
        return await SqliteHarness().footprint(Path(self._path))


class VolatileStore(MemoryDriver):
    """The memory of the server; with each of its lives epochs begin anew, higher than before."""

    first_epoch: ClassVar[int] = time.time_ns() // 1_000
    """All epochs of this life of the server are greater."""

    def __init__(self, namespace: str) -> None:
        self._name = namespace.replace("/", "-")
        super().__init__(f"memory://{self._name}")

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        for queue in self._store.known(want.queue for want in wants):
            queue.epoch = max(queue.epoch, self.first_epoch)
        return await super().claim(wants, worker=worker, lease=lease, now=now)

    async def footprint(self) -> int:
        """Count what the memory holds."""
        return await MemoryHarness().footprint(self._name)
