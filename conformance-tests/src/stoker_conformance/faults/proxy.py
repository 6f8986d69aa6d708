"""A TCP proxy that does to connections what networks do, when it is told to.

It knows no protocol. What it can tell apart is an *exchange*: what a client sends after it has read
an answer (or as the first thing), and the answer to that. An operation of a driver is one exchange
or several, so a case that wants to meet each of them skips 0, 1, 2 ... of them, until the operation
is over before the fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Final, Self

__all__ = ["FaultProxy", "LinkFault"]

_CHUNK: Final = 64 * 1024
_RESET: Final = struct.pack("ii", 1, 0)
"""The value of `SO_LINGER` that makes a close a reset: the peer learns of it at once."""


class LinkFault(Enum):
    """What may happen to an exchange."""

    CUT_REQUEST = auto()
    """The connection is reset when the request comes; the store sees nothing of it."""
    CUT_REPLY = auto()
    """The request is forwarded. The first bytes of its answer are dropped, and the connection is
    reset: the store has done what it was asked for, and the client does not know."""
    HALF_OPEN = auto()
    """Nothing of the connection is forwarded any more, in either direction, and nobody is told."""


@dataclass
class _Armed:
    """A fault that waits for its exchange."""

    fault: LinkFault
    skip: int
    times: int | None


class FaultProxy:
    """Stands between clients and a store, on a port of its own, and injects faults.

    Faults are deterministic: they are armed for the next exchanges, and counted when they happen,
    so that a case can insist on it. Without any the proxy is only a detour.

        async with FaultProxy(("127.0.0.1", 6379)) as proxy:
            client = await connect(proxy.address)
            proxy.arm(LinkFault.CUT_REPLY)
            await client.enqueue(jobs)  # stored, and answered to nobody
            assert proxy.happened[LinkFault.CUT_REPLY] == 1
    """

    delay: float = 0.0
    """Seconds for which every piece of data is held back, in each direction."""
    sliced: bool = False
    """Whether data is passed on byte by byte, each written by itself."""
    refusing: bool = False
    """Whether new connections are reset at once. The open ones are left alone: see `cut`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._armed: _Armed | None = None
        self._errors: list[BaseException] = []
        self._changed = asyncio.Condition()
        self.happened: Counter[LinkFault] = Counter()
        """How often each fault has happened."""
        self.exchanges: int = 0
        """How many exchanges have begun, over all connections."""
        self.connections: int = 0
        """How many connections were accepted, refused ones included."""
        self.refused: int = 0
        """How many connections were refused."""
        self.unreached: int = 0
        """How many connections failed because the store could not be reached."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port for clients to connect to."""
        if self._server is None:
            raise RuntimeError("the proxy is not started")
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def aclose(self) -> None:
        """Stop listening, cut what is open, and wait until every task has ended.

        An error of the proxy itself is raised here: it is none of the faults that were wanted.
        """
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        await self.cut()
        if self._errors:
            raise self._errors[0]

    # Faults

    def arm(self, fault: LinkFault, *, skip: int = 0, times: int | None = 1) -> None:
        """Let `fault` happen to the next exchanges, in place of what was armed before.

        Args:
            fault: what is to happen.
            skip: how many exchanges pass before, over all connections.
            times: how many exchanges in a row it happens to; `None`: to all from then on.
        """
        self._armed = _Armed(fault, skip, times)

    def disarm(self) -> None:
        """Let nothing happen to further exchanges; what is half-open stays so."""
        self._armed = None

    async def cut(self) -> None:
        """Reset every connection that is open now, and wait until that is done."""
        links = dict(self._links)
        for link in links.values():
            link.reset()
        if links:
            await asyncio.wait(links)

    async def reached(self, fault: LinkFault, times: int = 1) -> None:
        """Wait until `fault` has happened so many times since the start."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.happened[fault] >= times)

    async def begun(self, exchanges: int) -> None:
        """Wait until so many exchanges have begun since the start."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.exchanges >= exchanges)

    # For the links

    async def begin_exchange(self) -> LinkFault | None:
        """Count one more exchange, and return what is to happen to it."""
        async with self._changed:
            self.exchanges += 1
            self._changed.notify_all()
        armed = self._armed
        if armed is None:
            return None
        if armed.skip:
            armed.skip -= 1
            return None
        if armed.times is not None:
            armed.times -= 1
            if not armed.times:
                self._armed = None
        return armed.fault

    async def note(self, fault: LinkFault) -> None:
        """Count a fault that has happened now."""
        async with self._changed:
            self.happened[fault] += 1
            self._changed.notify_all()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refusing:
            self.refused += 1
            _reset(writer)
            return
        link = _Link(self, reader, writer)
        task = asyncio.create_task(self._serve(link), name="fault proxy: a connection")
        self._links[task] = link
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._links[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)

    async def _serve(self, link: _Link) -> None:
        try:
            await link.run(self._target)
        except OSError:
            self.unreached += 1
            link.reset()
        finally:
            await link.close()


class _Link:
    """One connection of a client, and the one to the store that belongs to it."""

    def __init__(
        self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._store: asyncio.StreamWriter | None = None
        self._is_reset = asyncio.Event()
        self._answered = True
        """Whether the next data of the client begins a new exchange."""
        self._fault: LinkFault | None = None
        """What happens to the exchange under way."""

    def reset(self) -> None:
        """End both connections, whatever they still hold; again is harmless."""
        self._is_reset.set()
        _reset(self._writer)
        if self._store is not None:
            _reset(self._store)

    async def close(self) -> None:
        """End both connections when they have sent what they hold."""
        for writer in filter(None, (self._writer, self._store)):
            writer.close()
            # A reset, by whichever end, is how many links are to end.
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def run(self, target: tuple[str, int]) -> None:
        """Connect to the store, and pass data on until a side ends or the link is reset.

        Raises:
            OSError: the store cannot be reached.
        """
        reader, self._store = await asyncio.open_connection(*target)
        pumps = {
            asyncio.create_task(self._pass_requests(self._store)),
            asyncio.create_task(self._pass_replies(reader)),
            asyncio.create_task(self._is_reset.wait()),
        }
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
        for pump in pumps:
            if not pump.cancelled():
                pump.result()

    async def _pass_requests(self, store: asyncio.StreamWriter) -> None:
        while data := await _read(self._reader):
            if self._answered:
                self._answered = False
                if self._fault is not LinkFault.HALF_OPEN:
                    self._fault = await self._proxy.begin_exchange()
                    if self._fault in (LinkFault.CUT_REQUEST, LinkFault.HALF_OPEN):
                        await self._proxy.note(self._fault)
            if self._fault is LinkFault.CUT_REQUEST:
                self.reset()
                return
            if self._fault is not LinkFault.HALF_OPEN:
                await self._pass_on(data, store)

    async def _pass_replies(self, store: asyncio.StreamReader) -> None:
        while data := await _read(store):
            self._answered = True
            if self._fault is LinkFault.CUT_REPLY:
                self.reset()
                await self._proxy.note(self._fault)
                return
            if self._fault is not LinkFault.HALF_OPEN:
                await self._pass_on(data, self._writer)

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self._proxy.delay:
            await asyncio.sleep(self._proxy.delay)
        size = 1 if self._proxy.sliced else len(data)
        # A peer that has gone away shows as the end of its reader.
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(data), size):
                writer.write(data[start : start + size])
                await writer.drain()
                await asyncio.sleep(0)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Return the next data, and nothing at the end, whichever way the peer has ended it."""
    try:
        return await reader.read(_CHUNK)
    except ConnectionError:
        return b""


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the peer is told at once, even with data on its way."""
    if not writer.transport.is_closing():
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
