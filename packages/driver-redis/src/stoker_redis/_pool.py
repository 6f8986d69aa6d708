"""The connections to one node: bounded, the last one used first."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Final

from stoker.errors import DriverUnavailable
from stoker_redis._connection import Dial, Link, end, is_usable
from stoker_redis._errors import FAILURES, unreachable

__all__ = ["Pool"]

_ROOM_SECONDS: Final = 30.0
"""How long a call waits while all connections are in use."""


class Pool:
    """Lends connections, and opens more of them until there are `size`."""

    def __init__(self, dial: Dial, size: int, where: str) -> None:
        self.where = where
        self.opened = 0
        """How many connections were opened so far."""
        self._dial = dial
        self._room = asyncio.Semaphore(size)
        self._idle: list[Link] = []
        self._lent: dict[Link, int] = {}
        self._era = 0
        """Connections come back only into the era that they were lent in."""
        self._closed = False

    def link(self) -> AbstractAsyncContextManager[Link]:
        """Borrow a connection for the length of a block.

        Raises:
            DriverUnavailable: nobody answers, or all connections stay in use.
            IncompatibleStore: the server does not let the user in.
        """
        return _Loan(self)

    async def lend(self) -> Link:
        """Lend a connection, to be given back by `take_back`."""
        await self._wait_for_room()
        try:
            link = await self._take()
        except BaseException:
            self._room.release()
            raise
        self._lent[link] = self._era
        return link

    async def take_back(self, link: Link) -> None:
        """Keep a connection for the next, or close it."""
        try:
            if self._lent.pop(link) == self._era and link.is_connected:
                self._idle.append(link)
            else:
                await end(link)
        finally:
            self._room.release()

    async def forget(self) -> None:
        """Use no connection again that was opened before: the node is not what it was.

        Or the network: connections that were idle when another broke are often dead too, and each
        of them would be found out only by a call that waits for its time limit.
        """
        self._era += 1
        idle, self._idle = self._idle, []
        for link in idle:
            await end(link)

    async def retire(self) -> None:
        """Open nothing any more, and close each connection when it comes back."""
        self._closed = True
        await self.forget()

    async def close(self) -> None:
        """Close every connection; what runs on them fails."""
        await self.retire()
        for link in list(self._lent):
            await end(link)

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
            await end(link)
        try:
            link = await self._dial()
        except FAILURES as error:
            raise unreachable(error, self.where) from error
        if self._closed:
            await end(link)
            raise DriverUnavailable("the driver is being closed", maybe_applied=False)
        self.opened += 1
        return link


class _Loan:
    """What `asynccontextmanager` would make of a generator, in a third of the time."""

    __slots__ = ("_link", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> Link:
        self._link = link = await self._pool.lend()
        return link

    async def __aexit__(self, *_: object) -> None:
        await self._pool.take_back(self._link)
