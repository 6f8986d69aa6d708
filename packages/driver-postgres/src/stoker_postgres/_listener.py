"""The connection that listens: kept, probed, and made again when it is lost.

A connection that is dead without a goodbye, or whose LISTEN a pooler has forgotten, looks like a
quiet one. So it notifies itself now and then, and is given up when that does not come back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final
from uuid import uuid4

from stoker.driver import Wake
from stoker.driver.latch import Latch
from stoker_postgres._asyncpg import Connection
from stoker_postgres._errors import FAILURES

__all__ = ["Listener"]

_log: Final = logging.getLogger(__name__)

_KINDS: Final = {"W": Wake.WORK, "C": Wake.CANCEL}
_PROBE: Final = "P"
_PROBE_SECONDS: Final = 10.0
"""Between two probes."""
_PATIENCE: Final = 5.0
"""How long an answer may take."""
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_GOODBYE_SECONDS: Final = 1.0


class Listener:
    """Passes the notifications of a channel on to a latch, from `start` to `close`."""

    def __init__(
        self,
        channel: str,
        latch: Latch,
        connect: Callable[[], Awaitable[Connection]],
        let_go: Callable[[Connection], Awaitable[None]],
    ) -> None:
        self._channel = channel
        self._latch = latch
        self._connect = connect
        self._let_go = let_go
        self._name = f"{_PROBE}{uuid4().hex}"
        self._echo = asyncio.Event()
        self._lost = asyncio.Event()
        self._live = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, unless that has been done."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="stoker-postgres listener")

    async def is_live(self, seconds: float) -> None:
        """Wait until it listens, but not longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._live.wait()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._listen()
            except FAILURES as error:
                _log.warning("the connection that listens for hints is lost: %s", error)
            if self._live.is_set():
                pause = _FIRST_PAUSE
            self._live.clear()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _listen(self) -> None:
        """Listen until the connection is lost; returns or raises then."""
        connection = await self._connect()
        self._lost.clear()
        try:
            connection.add_termination_listener(self._on_end)
            await connection.add_listener(self._channel, self._on_notification)
            self._live.set()
            self._latch.hear_all()
            while await self._is_well(connection):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE_SECONDS):
                        await self._lost.wait()
        finally:
            await asyncio.shield(self._part_from(connection))

    async def _is_well(self, connection: Connection) -> bool:
        """Notify oneself, and see whether that comes back."""
        if self._lost.is_set():
            return False
        self._echo.clear()
        query = "select count(pg_notify($1::text, $2::text))"
        await connection.fetch(query, self._channel, self._name, timeout=_PATIENCE)
        async with asyncio.timeout(_PATIENCE):
            await self._echo.wait()
        return True

    async def _part_from(self, connection: Connection) -> None:
        connection.remove_termination_listener(self._on_end)
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                if not connection.is_closed():
                    await connection.remove_listener(self._channel, self._on_notification)
                await self._let_go(connection)
        except FAILURES as error:
            connection.terminate()
            _log.debug("the connection that listens for hints is terminated: %s", error)

    def _on_notification(self, _connection: object, _pid: int, _channel: str, text: str) -> None:
        if text.startswith(_PROBE):
            if text == self._name:
                self._echo.set()
        elif text[:1] in _KINDS:
            self._latch.hear(text[1:], _KINDS[text[:1]])

    def _on_end(self, _connection: object) -> None:
        self._lost.set()
