"""Waiting in real time for what has to come: bounded, and never for a time to pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from stoker_conformance.expect import Violation

__all__ = ["PATIENCE", "eventually"]

T = TypeVar("T")

PATIENCE: Final = 20.0
"""Seconds after which a case gives up on what should come at once."""
_PAUSE: Final = 0.005


async def eventually(what: str, question: Callable[[], Awaitable[T | None]]) -> T:
    """Ask again and again until there is an answer that is true, and return it.

    Raises:
        Violation: there is none within `PATIENCE`, which is generous and measures nothing.
    """
    give_up_at = time.monotonic() + PATIENCE
    while True:
        answer = await question()
        if answer:
            return answer
        if time.monotonic() > give_up_at:
            raise Violation(what, f"an end within {PATIENCE:g} s", f"{answer!r} until then")
        await asyncio.sleep(_PAUSE)
