"""A driver whose operations are done elsewhere: in another process, or behind a gate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from stoker.driver import (
    Admin,
    Consumer,
    Driver,
    DriverInfo,
    Inspector,
    Presence,
    Producer,
    Schedules,
    Wakeup,
)
from stoker.errors import Unsupported

__all__ = ["OPERATIONS", "ForwardingDriver"]

OPERATIONS: Final = frozenset({"open", "close"}) | {
    name
    for role in (Producer, Consumer, Inspector, Admin, Wakeup, Schedules, Presence)
    for name in vars(role)
    if not name.startswith("_")
}
"""Every operation that takes and returns plain values; those that take a connection do not."""


class ForwardingDriver:
    """Satisfies `stoker.driver.Driver`; has those operations that the driver behind it has."""

    def __init__(
        self, info: DriverInfo, operations: frozenset[str], call: Callable[..., Any]
    ) -> None:
        self.info = info
        self._operations = operations
        self._call = call
        """Called with the name of an operation and its arguments; returns an awaitable."""

    def clone(self) -> Driver:
        """Refuse: whoever wants another client asks for another actor."""
        raise Unsupported("the client of an actor cannot be cloned")

    def __getattr__(self, name: str) -> Any:
        if name not in self._operations:
            raise AttributeError(f"{name} cannot be called from outside: let the actor run it")
        return partial(self._call, name)
