"""Functions that are told what becomes of a job.

A hook runs after the store has confirmed what it reports (`on_progress`: when it is reported), at
most once, and is lost if the process dies in between. Hooks are told of runs: a job that is
cancelled or replaced while it waits has none. An error in a hook is logged and never fails the
job. A hook may be `async def` or `def`; the latter runs on the event loop, so it should be short.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, TypeAlias

from stoker.errors import ConfigurationError, InvalidHandler

__all__ = ["Event", "Hook", "Hooks"]

Hook: TypeAlias = Callable[..., Awaitable[None] | None]
"""A function that is told of an event; its parameters are those of the event."""


class Event(StrEnum):
    """What a hook can be told, and the number of parameters it takes."""

    START = "on_start"
    PROGRESS = "on_progress"
    SUCCESS = "on_success"
    FAILURE = "on_failure"
    RETRY = "on_retry"
    COMPLETE = "on_complete"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that a hook for this event takes."""
        return _PARAMETERS[self]


_PARAMETERS = {
    Event.START: ("job",),
    Event.PROGRESS: ("job", "progress"),
    Event.SUCCESS: ("job", "result"),
    Event.FAILURE: ("job", "error"),
    Event.RETRY: ("job", "error"),
    Event.COMPLETE: ("job",),
}


class Hooks:
    """The hooks of one job or one router, by event, in the order of their registration."""

    __slots__ = ("_by_event", "is_sealed")

    def __init__(self) -> None:
        self._by_event: dict[Event, tuple[Hook, ...]] = {}
        self.is_sealed: bool = False
        """Whether an app has taken the definitions as they are."""

    def seal(self) -> None:
        """Take no more hooks: an app is built, and would not hear of them."""
        self.is_sealed = True

    def add(self, event: Event, hook: Any) -> None:
        """Add a hook.

        Raises:
            InvalidHandler: if it cannot be called with the parameters of the event.
            ConfigurationError: if an app was built before.
        """
        if self.is_sealed:
            raise ConfigurationError(
                f"{hook!r} comes too late: an app was built with this definition. Import the "
                "module that adds the hook before Stoker(...)"
            )
        try:
            inspect.signature(hook).bind(*event.parameters)
        except (TypeError, ValueError) as error:
            raise InvalidHandler(
                f"{hook!r} cannot be a hook for {event.value}: it is called with "
                f"({', '.join(event.parameters)}): {error}"
            ) from error
        self._by_event[event] = (*self._by_event.get(event, ()), hook)

    def get(self, event: Event) -> tuple[Hook, ...]:
        """Return the hooks for an event."""
        return self._by_event.get(event, ())
