"""Where things are: the sub-databases of the environment, and the keys in them.

    ========== ==================== ==========================================================
    jobs       queue NUL id         all of a job but its payload, as JSON
    payloads   queue NUL id         the payload: written once, read by a claim or a `get`
    a place    queue NUL number     the id; one sub-database for each of `PLACES`
    paused     queue                nothing
    meta       a word               the version of this layout; the last number given out
    ========== ==================== ==========================================================

A job has exactly one place: the sub-database of its state. The number orders it there, so that
every question an operation has ("which are due", "whose lease has expired", "which is next") is a
walk over neighbours. LMDB sorts keys as bytes, and several ids under one key as bytes as well.

Names hold no control characters, so NUL ends a queue and no queue is the beginning of another. Two
names of 255 bytes and the NUL are 511 bytes: the longest key that LMDB takes.
"""

from __future__ import annotations

from typing import Final

from stoker.driver.checks import check_text
from stoker.errors import InvalidInput
from stoker.job import TERMINAL_STATES, JobKey, JobState

KEPT: Final = {state: f"kept {state}" for state in sorted(TERMINAL_STATES)}
"""Places of ended jobs that say themselves how long they are kept, by the time of their purge."""
PLACES: Final = (*JobState, *KEPT.values())
TABLES: Final = ("jobs", "payloads", "paused", "meta", *PLACES)

_SIGN: Final = 1 << 63
_NOBODY: Final = b"\0"


def name_bytes(text: str) -> bytes:
    """Return a name as bytes; what no enqueue would take becomes a name that nothing has."""
    try:
        check_text("name", text)
    except InvalidInput:
        return _NOBODY
    return text.encode()


def prefix_of(queue: str) -> bytes:
    """Return what all keys of `queue` begin with."""
    return name_bytes(queue) + b"\0"


def end_of(queue: str) -> bytes:
    """Return a key behind all keys of `queue`, and before those of every other one behind it."""
    return name_bytes(queue) + b"\1"


def job_key(key: JobKey) -> bytes:
    """Return the key of a job in `jobs` and `payloads`."""
    return prefix_of(key.queue) + name_bytes(key.id)


def place_key(queue: str, number: int) -> bytes:
    """Return the key of a number in a place; negative ones (times before 1970) sort first."""
    return prefix_of(queue) + (number + _SIGN).to_bytes(8)


def number_in(key: bytes) -> int:
    """Return the number at the end of a key."""
    return int.from_bytes(key[-8:]) - _SIGN
