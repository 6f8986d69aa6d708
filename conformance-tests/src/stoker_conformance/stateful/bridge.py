"""From a thread to the event loop that waits for it, and back."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

__all__ = ["Bridge", "Interruption", "Stopped", "Stuck"]

T = TypeVar("T")

_LONGEST: Final = 10.0
"""The most seconds that one operation may take."""


class Interruption(KeyboardInterrupt):
    """An end of the thread's work from outside of it.

    It is no failure of a program, and of all exceptions Hypothesis takes only this kind for none:
    the others it would try to reproduce.
    """


class Stopped(Interruption):
    """The case has ended, and nobody waits for its thread any more."""


class Stuck(Interruption):
    """An operation did not return within ten seconds."""


class Bridge:
    """Runs one function in a thread, and its coroutines on the loop that made the bridge."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: concurrent.futures.Future[Any] | None = None
        self._stopped = False

    async def run(self, function: Callable[[], T]) -> T:
        """Run `function` in a thread; when this is cancelled, its next call ends it."""
        try:
            return await asyncio.to_thread(function)
        finally:
            self._stopped = True
            if self._pending is not None:
                self._pending.cancel()

    def call(self, operation: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, from the thread, and return what it returns.

        Raises:
            Stuck: when it takes longer than ten seconds.
            Stopped: when nobody waits for this thread any more.
        """
        if self._stopped:
            operation.close()
            raise Stopped
        pending = asyncio.run_coroutine_threadsafe(operation, self._loop)
        self._pending = pending
        done, _ = concurrent.futures.wait([pending], timeout=_LONGEST)
        if self._stopped:
            pending.cancel()
            raise Stopped
        if not done:
            pending.cancel()
            raise Stuck
        return pending.result()
