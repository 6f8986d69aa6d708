"""Waiting for jobs to end: one look at the store for all who wait in this process."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from stoker.driver import Inspector, JobKey, JobState
from stoker.errors import DriverUnavailable, NotOpen
from stoker.job import TERMINAL_STATES

__all__ = ["Waiting"]

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 1.0
_BATCH: Final = 500


class Waiting:
    """Tells callers when a job is terminal, or gone.

    It asks the store in batches, less often the longer nothing happens; a worker in the same
    process tells it at once.
    """

    def __init__(self, driver: Inspector) -> None:
        self._driver = driver
        self._waiters: dict[JobKey, list[asyncio.Future[JobState | None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._look = asyncio.Event()

    def ended(self, key: JobKey) -> None:
        """Look at the store now if anybody waits for this job."""
        if key in self._waiters:
            self._look.set()

    async def until_ended(self, key: JobKey) -> JobState | None:
        """Return the state once it is terminal; `None` if there is no record (any more)."""
        future: asyncio.Future[JobState | None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(key, []).append(future)
        self._look.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="stoker-results")
        try:
            return await future
        finally:
            waiters = self._waiters.get(key, [])
            if future in waiters:
                waiters.remove(future)
                if not waiters:
                    del self._waiters[key]

    async def close(self) -> None:
        """Stop waiting; those who still wait get an error."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail(NotOpen("the app was closed while a result was waited for"))

    async def _watch(self) -> None:
        pause = _FIRST_PAUSE
        while self._waiters:
            self._look.clear()
            try:
                found = await self._resolve(list(self._waiters)[:_BATCH])
            except DriverUnavailable:
                # The callers' timeouts say how long an outage may last.
                found = 0
            except Exception as error:  # noqa: BLE001  the callers get it, whatever it is
                self._fail(error)
                return
            pause = _FIRST_PAUSE if found else min(pause * 1.5, _LONGEST_PAUSE)
            with contextlib.suppress(TimeoutError):
                # Not wait_for, which may swallow the cancel of close() on Python 3.11.
                async with asyncio.timeout(pause):
                    await self._look.wait()

    async def _resolve(self, keys: list[JobKey]) -> int:
        found = 0
        for key, state in zip(keys, await self._driver.states(keys), strict=True):
            if state is None or state in TERMINAL_STATES:
                found += 1
                for future in self._waiters.pop(key, []):
                    if not future.done():
                        future.set_result(state)
            elif key in self._waiters:
                # To the end of the line, so that a batch of long ones does not hide the rest.
                self._waiters[key] = self._waiters.pop(key)
        return found

    def _fail(self, error: Exception) -> None:
        waiters, self._waiters = self._waiters, {}
        for future in [future for futures in waiters.values() for future in futures]:
            if not future.done():
                future.set_exception(error)
