"""The other end of a `ProcessActor`: the program that is one client of a store.

It takes frames from its standard input until that ends, as it does when the process of the case
dies, and then is gone without a goodbye. What the driver or its libraries print goes to the
standard error, which the case shows when this process dies on its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
from threading import Thread
from typing import Any, BinaryIO

from stoker.driver import Driver
from stoker_conformance.faults._forwarding import OPERATIONS
from stoker_conformance.faults._wire import (
    Abandon,
    Answer,
    Call,
    Connect,
    Connected,
    End,
    Failure,
    Item,
    Run,
    Value,
    dump,
    frame,
    frames,
    load,
)

__all__ = ["main"]


class _Client:
    """Does what the frames ask for, each call in a task of its own."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._driver: Driver | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def take(self, number: int, body: bytes) -> None:
        """Begin the call of a frame."""
        try:
            request = load(body)
        except Exception as error:  # noqa: BLE001 - it belongs to the caller
            self._send(number, Failure(error))
            return
        if isinstance(request, Abandon):
            if number in self._tasks:
                self._tasks[number].cancel()
            return
        self._tasks[number] = asyncio.create_task(self._serve(number, request))
        self._tasks[number].add_done_callback(lambda _: self._tasks.pop(number))

    async def _serve(self, number: int, request: Any) -> None:
        try:
            answer = await self._answer(number, request)
        except Exception as error:  # noqa: BLE001 - it belongs to the caller
            answer = Failure(error)
        self._send(number, answer)

    async def _answer(self, number: int, request: Connect | Call | Run) -> Answer:
        if isinstance(request, Connect):
            self._driver = await request.harness.connect(request.namespace)
            await self._driver.open()
            has = frozenset(name for name in OPERATIONS if hasattr(self._driver, name))
            return Value(Connected(self._driver.info, has))
        if isinstance(request, Call):
            operation = getattr(self._driver, request.operation)
            return Value(await operation(*request.args, **request.kwargs))
        made = request.function(self._driver, *request.args, **request.kwargs)
        if not hasattr(made, "__aiter__"):
            return Value(await made)
        async for item in made:
            self._send(number, Item(item))
            await asyncio.sleep(0)  # a generator that never waits keeps no other call waiting
        return End()

    def _send(self, number: int, answer: Answer) -> None:
        """Write a frame; when this returns, the case will read it, whatever becomes of us."""
        try:
            body = dump(answer)
        except Exception as error:  # noqa: BLE001 - say so in place of the answer
            seen = answer.error if isinstance(answer, Failure) else answer
            body = dump(Failure(TypeError(f"{seen!r} cannot be pickled: {error}")))
        self._answers.write(frame(number, body))
        self._answers.flush()


async def _serve_until_the_end(requests: BinaryIO, answers: BinaryIO) -> None:
    client = _Client(answers)
    loop = asyncio.get_running_loop()

    def read() -> None:
        for number, body in frames(requests):
            loop.call_soon_threadsafe(client.take, number, body)
        os._exit(0)

    Thread(target=read, name="requests", daemon=True).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve one case, over what are the standard streams at first."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    asyncio.run(_serve_until_the_end(requests, answers))


if __name__ == "__main__":
    main()
