"""Claimed jobs that wait for a place to run in."""

from __future__ import annotations

import asyncio

from stoker.driver import Token
from stoker.worker.execution import Execution
from stoker.worker.slots import Slots

__all__ = ["Line"]


class Line:
    """Jobs that were claimed for places which were about to be free, first come, first served."""

    def __init__(self) -> None:
        self._waiting: dict[Token, Execution] = {}
        self.is_empty: asyncio.Event = asyncio.Event()
        self.is_empty.set()

    def join(self, execution: Execution) -> None:
        """Wait from now on."""
        self._waiting[execution.lease.token] = execution
        self.is_empty.clear()

    def leave(self, token: Token) -> Execution | None:
        """Wait no longer; `None` if it does not wait."""
        execution = self._waiting.pop(token, None)
        if not self._waiting:
            self.is_empty.set()
        return execution

    def next(self, slots: Slots) -> Execution | None:
        """Return the first one for which there is a place; it waits no longer."""
        for token in self._waiting:
            if slots.has_place(token.key.queue):
                return self.leave(token)
        return None

    def leave_all(self) -> list[Execution]:
        """Return all that wait; none of them does any more."""
        return [execution for token in list(self._waiting) if (execution := self.leave(token))]
