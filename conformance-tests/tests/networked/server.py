"""The server: `python -m networked.server STORE PORT`, until it is killed or its parent is gone.

It says on its standard output on which port of 127.0.0.1 it listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from networked.wire import Call, Failure, Hello, receive, send
from stoker.errors import DriverError

_GONE = (OSError, EOFError)


class Session:
    """What all connections of one client share: a driver of the store, and its wait."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._opening = asyncio.Lock()
        self._waiting: asyncio.Task[Any] | None = None
        self.connections = 0

    async def open(self) -> None:
        """Open the store, if that is not done."""
        async with self._opening:
            await self._store.open()

    async def close(self) -> None:
        """Close the store, and do not wait for what a client that is gone has asked for."""
        await self._store.close()

    async def perform(self, call: Call) -> Any:
        """Return the answer to a call."""
        try:
            return await getattr(self._store, call.operation)(*call.args, **call.kwargs)
        except DriverError as error:
            return Failure.of(error)

    async def wait(self, call: Call, reader: asyncio.StreamReader) -> Any:
        """Return the answer to a `wait`, which ends when its client is gone or waits anew.

        Raises:
            EOFError: the client is gone, or waits on another connection.
        """
        if self._waiting is not None:
            self._waiting.cancel()
            await asyncio.wait({self._waiting})
        waiting = self._waiting = asyncio.create_task(self.perform(call))
        silence = asyncio.create_task(reader.read(1))  # a client says nothing while it waits
        try:
            await asyncio.wait({waiting, silence}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() or waiting.cancelled():
                raise EOFError
            return waiting.result()
        finally:
            waiting.cancel()
            silence.cancel()
            await asyncio.wait({waiting, silence})


class Server:
    """Sessions of clients, by namespace and name."""

    def __init__(self, store: Callable[[str], Any]) -> None:
        self._store = store
        self._sessions: dict[Hello, Session] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        with contextlib.suppress(*_GONE):
            hello: Hello = await receive(reader)
            session = self._sessions.setdefault(hello, Session(self._store(hello.namespace)))
            session.connections += 1
            try:
                await self._answer(session, reader, writer)
            finally:
                session.connections -= 1
                if not session.connections:
                    del self._sessions[hello]
                    await session.close()
        writer.close()

    async def _answer(
        self, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await session.open()
        except DriverError as error:
            await send(writer, Failure.of(error))
            return
        await send(writer, None)
        while True:
            call: Call = await receive(reader)
            if call.operation == "wait":
                await send(writer, await session.wait(call, reader))
            else:
                await send(writer, await session.perform(call))


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


async def main(store: str, port: int) -> None:
    """Serve a store, `module:Class`, on a port; 0 is any that is free."""
    module, _, name = store.partition(":")
    server = Server(getattr(importlib.import_module(module), name))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", port)
    sys.stdout.write(f"{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
