"""Threads for `def` handlers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeAlias

__all__ = ["HandlerThreads"]

_Call: TypeAlias = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]


class HandlerThreads:
    """Up to so many threads, each started when it is needed and there is no idle one.

    They are daemons, and that is why this is not a `ThreadPoolExecutor`: the interpreter waits
    for the threads of those before it ends. A handler that never returns would keep the process
    of a stopped worker alive for ever.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Call the function in a thread; to be used from one thread only."""
        future: Future[Any] = Future()
        self._calls.put((future, function, arguments))
        if not self._idle.acquire(blocking=False) and self._started < self._most:
            self._started += 1
            name = f"stoker-job-{self._started}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def close(self) -> None:
        """Let every thread end when its call has returned."""
        for _ in range(self._started):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            _perform(*call)
            # Nothing of the last call is kept alive while the thread is idle.
            del call
            self._idle.release()


def _perform(future: Future[Any], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*arguments)
    except BaseException as error:  # noqa: BLE001  whoever waits for the future gets it
        future.set_exception(error)
    else:
        future.set_result(result)
