"""The thread in which a client works on the store, and its life."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import lmdb

from stoker.driver import to_micros
from stoker.errors import DriverUnavailable
from stoker_lmdb._environment import Environment, acquire, release
from stoker_lmdb._store import Store

T = TypeVar("T")

_PATIENCE: Final = 2.0
"""Seconds that a call waits for whoever writes now, before it is called off."""
_GOODBYE: Final = 5.0
"""Seconds that calls in flight have to end when the client is closed."""


class StoreThread:
    """One thread, and its part in the environment of the process.

    LMDB has one writer at a time on the whole host, and waits for it without a limit, in the thread
    that is to write. So the event loop waits for the thread, and no longer than `_PATIENCE`.
    """

    def __init__(self) -> None:
        self._environment: Environment | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="stoker-lmdb")
        self._turn = asyncio.Lock()
        self._ended = False

    async def open(self, path: Path, map_size: int) -> None:
        """Get the environment; a thread that cannot is of no further use."""

        def get_it(_: threading.Lock) -> None:
            self._environment = acquire(path, map_size)

        try:
            await self._run(get_it)
        except BaseException:
            self._end()
            raise

    async def read(self, operation: Callable[[Store], T], now: datetime | None = None) -> T:
        """Do something that changes nothing, all of it as of one moment."""
        return await self._run(lambda gate: self._transact(operation, now, gate, write=False))

    async def write(self, operation: Callable[[Store], T], now: datetime | None = None) -> T:
        """Do something in one transaction: all of it is on disk on return, or nothing ever is.

        Raises:
            DriverUnavailable: someone else wrote for too long, or the disk or the map is full.
        """
        return await self._run(lambda gate: self._transact(operation, now, gate, write=True))

    async def close(self) -> None:
        """Let calls in flight end, and give the environment back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE), self._turn:
                pass  # the lock is fair: all that came before have ended
        await asyncio.wait([asyncio.wrap_future(self._end())], timeout=_PATIENCE)

    async def _run(self, work: Callable[[threading.Lock], T]) -> T:
        async with self._turn:
            if self._ended:
                raise DriverUnavailable("the client was closed before this", maybe_applied=False)
            # Whoever takes the gate first decides: the thread, which then does the work, or this
            # side, which has given up waiting. So a call that was given up has not been applied.
            gate = threading.Lock()
            future = asyncio.get_running_loop().run_in_executor(self._pool, work, gate)
            try:
                done, _ = await asyncio.wait([future], timeout=_PATIENCE)
                if done or not gate.acquire(blocking=False):
                    return await future
                raise DriverUnavailable(
                    f"another process has been writing for {_PATIENCE:g} s", maybe_applied=False
                )
            finally:
                gate.acquire(blocking=False)
                future.cancel()

    def _transact(
        self,
        operation: Callable[[Store], T],
        now: datetime | None,
        gate: threading.Lock,
        *,
        write: bool,
    ) -> T:
        environment = self._environment
        assert environment is not None
        committing = False
        try:
            with environment.raw.begin(write=write) as txn:  # waits while somebody else writes
                if not gate.acquire(blocking=False):
                    raise DriverUnavailable("called off", maybe_applied=False)
                # The time is read here, and not before the wait: it rises from writer to writer.
                moment = time.time_ns() // 1_000 if now is None else to_micros(now)
                answer = operation(Store(environment, txn, moment))
                committing = write
            return answer
        except lmdb.Error as error:
            raise DriverUnavailable(str(error), maybe_applied=committing) from error

    def _end(self) -> Future[None]:
        self._ended = True
        ended = self._pool.submit(self._release)  # after all that the thread still has to do
        self._pool.shutdown(wait=False)
        return ended

    def _release(self) -> None:
        if self._environment is not None:
            release(self._environment)
            self._environment = None
