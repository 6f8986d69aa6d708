"""Unique keys: each held by at most one job of a queue at any time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from stoker.driver import Unique, Until, resolve
from stoker.job import JobState
from stoker_sqlite._transaction import Transaction

__all__ = [
    "Holder",
    "free",
    "free_always",
    "holder",
    "leave_behind",
    "take",
    "take_again",
    "until_text",
]

_FOR_A_TIME: Final = "time"


class Holder(NamedTuple):
    """Who holds a key, and what is known of its record; `None` without one."""

    id: str
    state: JobState | None
    place: int | None


def until_text(unique: Unique) -> str:
    """Return how long a key is held, as the row of its job keeps it."""
    return unique.until.value if isinstance(unique.until, Until) else _FOR_A_TIME


def holder(tx: Transaction, queue: str, key: str, now: int) -> Holder | None:
    """Return who holds a key at `now`, if anyone does."""
    found = tx.parsed("key_holder", {"queue": queue, "key": key, "now": now})
    if found is None:
        return None
    id_, state, place = found
    return Holder(id_, None if state is None else JobState(state), place)


def take(tx: Transaction, queue: str, id_: str, unique: Unique, now: int) -> None:
    """Let a job hold its key, which nobody holds."""
    until = unique.until
    expires_at = None if isinstance(until, Until) else resolve(until, now)
    _take(tx, queue, unique.key, id_, expires_at)


def take_again(
    tx: Transaction, queue: str, id_: str, key: str | None, until: str | None, now: int
) -> Holder | None:
    """Let a job that begins anew hold its key again; return who holds it, if another does."""
    if key is None or until == _FOR_A_TIME:
        return None
    other = holder(tx, queue, key, now)
    if other is None:
        _take(tx, queue, key, id_, None)
    return other


def free(tx: Transaction, queue: str, held: Iterable[tuple[str, str]]) -> None:
    """Free keys (key, id of the holder) that are held until their job starts or ends."""
    for key, id_ in held:
        tx.do("key_free", {"queue": queue, "key": key, "id": id_})


def free_always(tx: Transaction, queue: str, key: str, id_: str) -> None:
    """Free a key whose holder is removed by hand, whatever it is held until."""
    tx.do("key_free_always", {"queue": queue, "key": key, "id": id_})


def leave_behind(tx: Transaction, jobs: str) -> None:
    """Let keys that are held until a time stay without a holder: these jobs go by themselves.

    Otherwise a later job that is given the same id would be taken for the holder.
    """
    tx.do("key_leave_behind", {"jobs": jobs})


def _take(tx: Transaction, queue: str, key: str, id_: str, expires_at: int | None) -> None:
    tx.do("key_take", {"queue": queue, "key": key, "id": id_, "expires_at": expires_at})
