"""SIGTERM and SIGINT: the first one asks the worker to stop, the second one ends it at once."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["stopped_by_signals"]

log = logging.getLogger("stoker.worker")

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopped_by_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> Iterator[None]:
    """While the block runs, set `stop` at the first signal and let the second end the process.

    The second one is left to the operating system. So it works also when the very reason for
    sending it is a handler that blocks the event loop, or even the interpreter.
    """

    def ask(number: int) -> None:
        log.info(
            "%s: stopping gracefully, running jobs may finish; a second signal ends at once",
            signal.Signals(number).name,
        )
        stop.set()

    def receive(number: int, _: FrameType | None) -> None:
        for other in _STOPPING:
            signal.signal(other, signal.SIG_DFL)
        loop.call_soon_threadsafe(ask, number)

    before = {number: signal.signal(number, receive) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
