"""Ids for jobs: UUIDv7, in the order of their creation."""

from __future__ import annotations

import os
import threading
import time
from typing import Final

_RANDOM_BITS: Final = 74
_HALF: Final = 62
_lock: Final = threading.Lock()
_last = 0
"""Milliseconds and random bits of the last id, as one number."""


def new_id() -> str:
    """Return a new UUIDv7: 48 bits of milliseconds, 74 random bits.

    Ids of one process rise, also within a millisecond and when the clock is set back.
    """
    global _last  # noqa: PLW0603  a counter of the process, like the clock
    milliseconds = time.time_ns() // 1_000_000
    with _lock:
        if milliseconds > _last >> _RANDOM_BITS:
            fresh = int.from_bytes(os.urandom(10)) & (1 << _RANDOM_BITS) - 1
            _last = milliseconds << _RANDOM_BITS | fresh
        else:
            _last += 1
        number = _last
    text = _as_uuid(number).to_bytes(16).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _as_uuid(number: int) -> int:
    """Put version and variant between the bits of `number`."""
    low = number & (1 << _HALF) - 1
    middle = number >> _HALF & 0xFFF
    return number >> _RANDOM_BITS << 80 | 0x7 << 76 | middle << 64 | 0x2 << 62 | low


def _forget() -> None:
    global _last  # noqa: PLW0603
    _last = 0


# A child process must not go on from where its parent was: both would make the same ids.
os.register_at_fork(after_in_child=_forget)
