"""What an open driver holds: its connections, and its place at the file's bell."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from stoker.driver import Wake
from stoker.errors import DriverUnavailable
from stoker_sqlite._block import Block
from stoker_sqlite._connection import connect, run
from stoker_sqlite._reader import Reader
from stoker_sqlite._schema import check_library, check_place, prepare, refusal
from stoker_sqlite._transaction import Hints, HintsOf, Transaction, array
from stoker_sqlite._wake import Bell, Latch
from stoker_sqlite._writer import Writer

__all__ = ["Client"]

_GRACE_SECONDS: Final = 5.0
"""How long a close lets operations in flight go on."""


class Client:
    """One writing and one reading connection, each with a thread of its own."""

    def __init__(self, writer: Writer, reader: Reader, bell: Bell) -> None:
        self.writer = writer
        self.reader = reader
        self.blocks: set[Block] = set()
        self._bell = bell
        self._latch = Latch(bell)
        self._process = os.getpid()

    @classmethod
    async def open(cls, path: Path, synchronous: str) -> Self:
        """Open the file, and create or check its schema."""
        check_library()
        check_place(path)
        bell = Bell.of(path)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(bell.release)
            try:
                writing = await connect(path, busy_seconds=0)
            except sqlite3.Error as error:
                raise refusal(error, path) from error
            undo.push_async_callback(writing.close)
            await run(writing, prepare, path, synchronous)
            reading = await connect(path)
            undo.pop_all()
        return cls(Writer(writing, bell.publish), Reader(reading), bell)

    @property
    def is_inherited(self) -> bool:
        """Whether this process is a fork of the one that opened the client."""
        return self._process != os.getpid()

    async def close(self) -> None:
        """Let operations in flight end, then fail them, and free everything."""
        self._latch.close()
        if self.blocks:
            await self._close_blocks()
        await self.writer.close(_GRACE_SECONDS)
        await self.reader.close(_GRACE_SECONDS)
        await self._bell.release()

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        """Wait for a hint; the first wait for a queue only begins to latch them."""
        fresh = self._latch.unseen(queues)
        if not fresh:
            return await self._latch.wait(queues, timeout.total_seconds())
        hints = await self.reader.run(lambda tx: _hints(tx, fresh))
        self._bell.publish(hints)
        self._latch.begin(fresh, hints)
        return Wake.WORK

    async def _close_blocks(self) -> None:
        endings = {asyncio.ensure_future(block.ended.wait()) for block in self.blocks}
        await asyncio.wait(endings, timeout=_GRACE_SECONDS)
        for block in self.blocks:
            block.expire(
                DriverUnavailable("the driver was closed during the block", maybe_applied=False)
            )
        await asyncio.wait(endings, timeout=_GRACE_SECONDS)
        for ending in endings:
            ending.cancel()


def _hints(tx: Transaction, queues: Sequence[str]) -> HintsOf:
    rows = tx.rows("queue_hints", {"queues": array(list(queues))})
    return {queue: Hints(work, cancels) for queue, work, cancels in rows}
