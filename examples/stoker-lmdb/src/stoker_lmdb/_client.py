"""A client: its life, and the transactions in which its operations do their work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self, TypeAlias, TypeVar

from stoker.driver import ClockSource, DriverInfo, Durability, Scope
from stoker.errors import DriverClosed, DriverUnavailable
from stoker_lmdb._store import Store
from stoker_lmdb._transaction import transact

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Now: TypeAlias = datetime | None
"""The time that an operation is given; without one it is the clock of this process."""

_GOODBYE: Final = 5.0
"""Seconds that calls in flight have to end when the client is closed."""
_INFO: Final = DriverInfo(
    name="lmdb",
    version=version("stoker-lmdb"),
    capabilities=frozenset(),
    scope=Scope.HOST,
    clock=ClockSource.PROCESS,
    durability=Durability.DURABLE,
)


class Client:
    """What the four roles of the driver have in common."""

    def __init__(self, path: str | Path, *, map_size: int = 16 * 1024**3) -> None:
        self._path = Path(path).absolute()
        self._map_size = map_size
        self._turn: asyncio.Lock | None = None
        """While it is open: one call of this client is at work at a time."""

    @property
    def info(self) -> DriverInfo:
        return _INFO

    async def open(self) -> None:
        if self._turn is None:
            await asyncio.to_thread(transact, self._path, self._map_size, lambda _: None, None)
        self._turn = self._turn or asyncio.Lock()  # another task may have been faster

    async def close(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE), turn:
                    pass  # it is fair: all that came before have ended

    def clone(self) -> Self:
        return type(self)(self._path, map_size=self._map_size)

    async def _transact(self, work: Callable[[Store], Answer], now: Now = None) -> Answer:
        """Do something in one transaction, away from the event loop."""
        turn = self._turn
        if turn is None:
            raise DriverClosed("the LMDB driver is not open")
        async with turn:
            if self._turn is not turn:
                raise DriverUnavailable("the client was closed before this", maybe_applied=False)
            return await asyncio.to_thread(transact, self._path, self._map_size, work, now)

    async def _each(
        self, step: Callable[[Store, Item], Answer], items: Sequence[Item], now: Now = None
    ) -> list[Answer]:
        """Do a step for each item, all in one transaction: the answers come aligned."""
        if not items and self._turn is not None:
            return []
        return await self._transact(lambda store: [step(store, item) for item in items], now)
