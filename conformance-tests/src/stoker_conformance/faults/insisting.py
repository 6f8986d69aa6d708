"""Sending a request again until the store has taken it, as the core does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from stoker.errors import DriverUnavailable

__all__ = ["insist"]

T = TypeVar("T")

_MOST: Final = 20
_PAUSE: Final = 0.01


async def insist(send: Callable[[], Awaitable[T]]) -> T:
    """Return the answer to a request that the store may be too busy to take at once.

    Raises:
        DriverUnavailable: it never takes it.
    """
    for _ in range(_MOST):
        try:
            return await send()
        except DriverUnavailable:
            await asyncio.sleep(_PAUSE)
    return await send()
