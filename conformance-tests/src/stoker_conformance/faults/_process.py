"""The process of a client, as the case sees it: calls go in, answers come out, signals end it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, Self, cast

from stoker_conformance.faults._wire import (
    Abandon,
    Deframer,
    Failure,
    Item,
    Value,
    dump,
    frame,
    load,
)
from stoker_conformance.faults.actors import ActorDied, ActorKilled, Stream

__all__ = ["ClientProcess"]

_MODULE: Final = "stoker_conformance.faults._child"
_GRACE: Final = 5.0
"""How many seconds a dead process's own children may hold its pipes open."""
_LAST_WORDS: Final = 8_000
"""How much of the standard error of a process is shown, in bytes."""


class ClientProcess(asyncio.SubprocessProtocol):
    """A fresh interpreter (nothing is forked) that runs the module `_child`, and its pipes."""

    died: ActorDied | None = None
    """How it ended, when nobody had killed it."""

    _transport: asyncio.SubprocessTransport

    def __init__(self) -> None:
        self._numbers = count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._streams: dict[int, Stream[Any]] = {}
        self._deframer = Deframer()
        self._errors = bytearray()
        self._killed = False
        self._exited = asyncio.Event()
        self._gone = asyncio.Event()

    @classmethod
    async def start(cls) -> Self:
        """Start an interpreter that finds the modules which this one finds."""
        path = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
        _, process = await asyncio.get_running_loop().subprocess_exec(
            cls, sys.executable, "-P", "-m", _MODULE, env={**os.environ, "PYTHONPATH": path}
        )
        return process

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._transport.get_pid()

    # Calls

    async def call(self, request: bytes) -> Any:
        """Send a request; return its value or raise its error."""
        self._check_alive()
        number = next(self._numbers)
        self._calls[number] = asyncio.get_running_loop().create_future()
        self._write(number, request)
        try:
            return await self._calls[number]
        except asyncio.CancelledError:
            if not self._exited.is_set():
                self._write(number, dump(Abandon()))
            raise
        finally:
            del self._calls[number]

    def stream(self, request: bytes) -> Stream[Any]:
        """Send a request whose answer is a stream."""
        number = next(self._numbers)
        stream: Stream[Any] = Stream()
        try:
            self._check_alive()
        except (ActorKilled, ActorDied) as error:
            stream.end(error)
            return stream
        self._streams[number] = stream
        self._write(number, request)
        return stream

    def _write(self, number: int, body: bytes) -> None:
        pipe = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        pipe.write(frame(number, body))

    def _check_alive(self) -> None:
        if self._killed:
            raise ActorKilled("the client was killed before this call")
        if self.died is not None:
            raise self.died

    def _deliver(self, number: int, body: bytes) -> None:
        if number in self._streams:
            self._deliver_item(self._streams[number], number, body)
            return
        call = self._calls.get(number)
        if call is None or call.done():
            return  # nobody waits for it any more
        answer = _loaded(body)
        if isinstance(answer, Value):
            call.set_result(answer.value)
        else:
            call.set_exception(answer.error)

    def _deliver_item(self, stream: Stream[Any], number: int, body: bytes) -> None:
        answer = _loaded(body)
        if isinstance(answer, Item):
            stream.put(answer.value)
        else:
            stream.end(answer.error if isinstance(answer, Failure) else None)
            del self._streams[number]

    def _fail_all(self, error: Exception) -> None:
        for call in self._calls.values():
            if not call.done():
                call.set_exception(error)
        for stream in self._streams.values():
            stream.end(error)
        self._streams.clear()

    # Signals

    async def kill(self) -> None:
        """Kill the process and wait until nothing of it is left; a second time does nothing."""
        if self._transport.get_returncode() is None:
            self._killed = True
            with suppress(ProcessLookupError):
                self._transport.kill()
        await self._exited.wait()
        # What it wrote before its end is still in the pipe. A process of its own that has inherited
        # the pipe would keep it open for ever.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), _GRACE)
        self._transport.close()
        await self._gone.wait()

    async def stop(self) -> None:
        """Stop the process where it is; return when it stands still."""
        if not hasattr(signal, "SIGSTOP"):
            raise RuntimeError("this system has no SIGSTOP: it cannot stop and continue a process")
        self._check_alive()
        self._transport.send_signal(signal.SIGSTOP)
        while not (self._exited.is_set() or _stands_still(self.pid)):  # noqa: ASYNC110
            await asyncio.sleep(0.001)  # no event tells it

    def resume(self) -> None:
        """Continue a process that was stopped."""
        self._check_alive()
        self._transport.send_signal(signal.SIGCONT)

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take answers, and what the process says of its troubles."""
        if fd == 2:
            self._errors += data
            del self._errors[:-_LAST_WORDS]
            return
        for number, body in self._deframer.feed(data):
            self._deliver(number, body)

    def process_exited(self) -> None:
        """Note that it has ended; its last words may still be on their way."""
        self._exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits for an answer: process and pipes are gone."""
        self._gone.set()
        if self._killed:
            self._fail_all(ActorKilled("the client was killed during this call"))
            return
        words = self._errors.decode(errors="replace").strip()
        self.died = ActorDied(
            f"the process of a client ended by itself, with {self._transport.get_returncode()}; "
            f"its standard error:\n{words or '(nothing)'}"
        )
        self._fail_all(self.died)


def _stands_still(pid: int) -> bool:
    """Whether a child of ours is stopped; where that cannot be known, suppose that it is."""
    if not hasattr(os, "waitid"):
        return True
    return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG) is not None


def _loaded(body: bytes) -> Any:
    """Return the answer of a frame; one that cannot be unpickled is an error of its call."""
    try:
        return load(body)
    except Exception as error:  # noqa: BLE001 - it belongs to the caller
        return Failure(error)
