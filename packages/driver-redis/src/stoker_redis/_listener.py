"""Listening to the wake streams of queues: reads that the server answers when there is news.

One connection waits for all streams that a command may name together: on one server there is one
of them, on a cluster one for each slot. It reads from where it has read to, so nothing falls
between two reads; and it never waits for long, so a connection that is dead without a goodbye is
noticed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from redis.exceptions import ResponseError

from stoker.driver import Wake
from stoker.driver.latch import Latch
from stoker.errors import DriverError
from stoker_redis._connection import Command, Link, end, talk
from stoker_redis._errors import FAILURES
from stoker_redis._keys import Keys

__all__ = ["Listener"]

_log: Final = logging.getLogger(__name__)

_BLOCK_SECONDS: Final = 5.0
"""How long a read waits for news."""
_PATIENCE: Final = 5.0
"""How much later than that an answer may be."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0

Connect: TypeAlias = Callable[[bytes, bool], Awaitable[Link]]
"""Opens a connection to where a key is; with `True` that is to be found out anew."""

_START: Final = b"0"
"""The place before all entries: an old hint is heard again, and none is missed."""


class Listener:
    """Passes what the wake streams tell on to a latch."""

    def __init__(
        self,
        prefix: str,
        latch: Latch,
        connect: Connect,
        slot: Callable[[bytes], int],
    ) -> None:
        self._prefix = prefix
        self._latch = latch
        self._connect = connect
        self._slot = slot
        self._readers: dict[int, _Reader] = {}

    def add(self, queues: Sequence[str]) -> None:
        """Listen to these queues too, from now on."""
        changed: set[_Reader] = set()
        for queue in queues:
            keys = Keys(self._prefix, queue)
            slot = self._slot(keys.work)
            if slot not in self._readers:
                self._readers[slot] = _Reader(self._latch, self._connect)
            reader = self._readers[slot]
            if reader.add(queue, keys):
                changed.add(reader)
        for reader in changed:
            reader.begin()

    def check(self) -> None:
        """Raise what has ended a reader, which nothing should: without it nobody is ever woken."""
        for reader in self._readers.values():
            reader.check()

    async def close(self) -> None:
        """Stop listening."""
        for reader in self._readers.values():
            await reader.close()


class _Reader:
    """Reads some streams together, on a connection of its own."""

    def __init__(self, latch: Latch, connect: Connect) -> None:
        self._latch = latch
        self._connect = connect
        self._meanings: dict[bytes, tuple[str, Wake]] = {}
        """By stream: the queue, and what news in it mean."""
        self._places: dict[bytes, bytes] = {}
        """By stream: the last entry that was read."""
        self._missed = False
        """Whether there may have been news that nobody will tell any more."""
        self._pause = _FIRST_PAUSE
        """Before the next connection, when this one is lost."""
        self._task: asyncio.Task[None] | None = None

    def add(self, queue: str, keys: Keys) -> bool:
        """Add the streams of a queue; return whether they are new."""
        if keys.work in self._meanings:
            return False
        for stream, wake in ((keys.work, Wake.WORK), (keys.cancel, Wake.CANCEL)):
            self._meanings[stream] = (queue, wake)
            self._places[stream] = _START
        return True

    def begin(self) -> None:
        """Read, or read more than before: the read under way does not know the new streams."""
        old, self._task = self._task, None
        if old is not None:
            old.cancel()
        self._task = asyncio.create_task(self._run(old), name="stoker-redis listener")

    def check(self) -> None:
        """Raise what has ended the reading."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, predecessor: asyncio.Task[None] | None) -> None:
        if predecessor is not None:
            await asyncio.wait([predecessor])
        while True:
            try:
                await self._read()
            except (*FAILURES, DriverError) as error:
                _log.warning("the connection that waits for hints is lost: %s", error)
            # Another server may have taken over, whose streams end before ours did.
            self._places = dict.fromkeys(self._places, _START)
            self._missed = True
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    async def _read(self) -> None:
        """Read until the connection is lost, and hint at what is new."""
        link = await self._connect(next(iter(self._meanings)), self._missed)
        try:
            if self._missed:
                self._missed = False
                for meaning in self._meanings.values():
                    self._latch.hear(*meaning)
            while True:
                for stream, entries in await self._news(link):
                    self._places[stream] = entries[-1][0]
                    self._latch.hear(*self._meanings[stream])
                self._pause = _FIRST_PAUSE
        finally:
            await end(link)

    async def _news(self, link: Link) -> list[tuple[bytes, Any]]:
        command: Command = (
            "XREAD",
            "BLOCK",
            int(_BLOCK_SECONDS * 1_000),
            "STREAMS",
            *self._places,
            *self._places.values(),
        )
        [answer] = await talk(link, [command], _BLOCK_SECONDS + _PATIENCE)
        if isinstance(answer, ResponseError):
            raise answer
        if isinstance(answer, dict):  # in RESP3
            return list(answer.items())
        return [(stream, entries) for stream, entries in answer or ()]
