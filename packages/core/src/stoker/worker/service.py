"""The one contract of everything that runs inside a worker: start, stop, and die loudly."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

__all__ = ["Service", "set_within"]


class Service(ABC):
    """A loop in a task of its own.

    `run` goes on until it is cancelled. If it ends in any other way, that is a defect: the worker
    is told, and stops.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def run(self) -> None:
        """Do the work, until cancelled."""

    def start(self, died: Callable[[str, BaseException | None], None]) -> None:
        """Run in a task; `died(name, error)` is called if it ends by itself."""

        def ended(task: asyncio.Task[None]) -> None:
            if self._task is task:  # else it was asked to stop
                died(self.name, None if task.cancelled() else task.exception())

        self._task = asyncio.create_task(self.run(), name=f"stoker-{self.name}")
        self._task.add_done_callback(ended)

    async def ended(self) -> None:
        """Wait until the loop runs no more, for whatever reason."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def abandon(self) -> None:
        """Cancel the loop without waiting for it."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()

    async def stop(self) -> None:
        """Cancel the loop and wait until it has ended."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        await asyncio.wait([task])


async def set_within(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until `event` is set, at most for so long; return whether it is.

    Not `asyncio.wait_for`: on Python 3.11 that swallows a cancel which comes in the same turn of
    the loop as the event, and a service that is being stopped would go on for ever.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
