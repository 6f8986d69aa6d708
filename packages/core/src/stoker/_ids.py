"""Ids for jobs: UUIDv7, so that their byte order is the order of creation."""

from __future__ import annotations

import os
import time


def new_id() -> str:
    """Return a new UUIDv7: 48 bits of milliseconds, 74 random bits."""
    # The operating system's randomness, because a generator of our own would repeat after a fork.
    bits = int.from_bytes(os.urandom(10), "big")
    number = (
        (time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80
        | 0x7000 << 64
        | (bits >> 62 & 0xFFF) << 64
        | 0x8 << 60
        | bits & 0x0FFF_FFFF_FFFF_FFFF
    )
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
