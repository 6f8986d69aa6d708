"""The application's own context: a value, or a lifespan that a worker enters once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from stoker.errors import ConfigurationError

__all__ = ["ABSENT", "Context"]

ABSENT: Any = object()
"""Stands for an argument that was not given, where `None` could have been."""


class Context:
    """Where handlers get their context from.

    A lifespan is entered when the first worker starts, not by processes that only schedule, and
    is left when the app is closed.
    """

    def __init__(
        self, value: Any, lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None
    ) -> None:
        if value is not ABSENT and lifespan is not None:
            raise ConfigurationError("give the app either context= or lifespan=, not both")
        self._value = value
        self._lifespan = lifespan
        self._entered: AbstractAsyncContextManager[Any] | None = None
        self._lock = asyncio.Lock()

    @property
    def is_given(self) -> bool:
        """Whether handlers can ask for a context."""
        return self._lifespan is not None or self._value is not ABSENT

    async def enter(self) -> Any:
        """Return the context, entering the lifespan if that has not happened yet."""
        if self._lifespan is None:
            return None if self._value is ABSENT else self._value
        async with self._lock:
            if self._entered is None:
                entered = self._lifespan()
                self._value = await entered.__aenter__()
                self._entered = entered
        return self._value

    async def leave(self) -> None:
        """Leave the lifespan, if it was entered."""
        entered, self._entered = self._entered, None
        # The app may be opened again on another event loop.
        self._lock = asyncio.Lock()
        if entered is not None:
            await entered.__aexit__(None, None, None)
