"""The connections to one node: bounded, the last one used first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from redis.exceptions import RedisError

from stoker.errors import DriverUnavailable
from stoker_redis._connection import Dial, Link, is_usable
from stoker_redis._errors import FAILURES, unreachable

__all__ = ["Pool"]

_ROOM_SECONDS: Final = 30.0
"""How long a call waits while all connections are in use."""


class Pool:
    """Lends connections, and opens more of them until there are `size`."""

    def __init__(self, dial: Dial, size: int, where: str) -> None:
        self.where = where
        self._dial = dial
        self._room = asyncio.Semaphore(size)
        self._idle: list[Link] = []
        self._links: set[Link] = set()
        self._closed = False

    @asynccontextmanager
    async def link(self) -> AsyncIterator[Link]:
        """Borrow a connection.

        Raises:
            DriverUnavailable: nobody answers, or all connections stay in use.
            IncompatibleStore: the server does not let the user in.
        """
        await self._wait_for_room()
        try:
            link = await self._take()
            try:
                yield link
            finally:
                self._give_back(link)
        finally:
            self._room.release()

    async def forget(self) -> None:
        """Close what is idle: the node is no longer what it was."""
        idle, self._idle = self._idle, []
        for link in idle:
            self._links.discard(link)
            await _end(link)

    async def close(self) -> None:
        """Close every connection; what runs on them fails."""
        self._closed = True
        links, self._links, self._idle = self._links, set(), []
        for link in links:
            await _end(link)

    async def _wait_for_room(self) -> None:
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(_ROOM_SECONDS):
                await self._room.acquire()
        except TimeoutError as error:
            raise DriverUnavailable(
                f"all connections to {self.where} were in use for {_ROOM_SECONDS:.0f} s: "
                "give the driver more (pool_size)",
                maybe_applied=False,
            ) from error

    async def _take(self) -> Link:
        while self._idle:
            link = self._idle.pop()
            if await is_usable(link):
                return link
            self._links.discard(link)
            await _end(link)
        try:
            link = await self._dial()
        except FAILURES as error:
            raise unreachable(error, self.where) from error
        if self._closed:
            await _end(link)
            raise DriverUnavailable("the driver is being closed", maybe_applied=False)
        self._links.add(link)
        return link

    def _give_back(self, link: Link) -> None:
        if link.is_connected and link in self._links:
            self._idle.append(link)
        else:
            self._links.discard(link)


async def _end(link: Link) -> None:
    """Close a connection without waiting for the other side."""
    with suppress(RedisError, OSError):
        await link.disconnect(nowait=True)
