"""Questions: records, pages of records, and how full queues are."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

from stoker.driver import JobKey, JobQuery, JobRecord, Page, QueueStats, to_micros
from stoker.errors import InvalidInput
from stoker.job import TERMINAL_STATES, JobState
from stoker_sqlite._jobs import by_queue, records
from stoker_sqlite._times import span
from stoker_sqlite._transaction import Transaction, array

__all__ = ["cursor_id", "get", "queues", "search", "states", "stats"]

_STEP: Final = 5_000
"""How many jobs one search looks at before it hands back what it has."""

_BEYOND: Final = b"\xff"
"""SQLite orders every blob after every text."""


def get(tx: Transaction, keys: Sequence[JobKey]) -> list[JobRecord | None]:
    """Return the record of each key, where there is one."""
    found = {queue: records(tx, queue, ids) for queue, ids in by_queue(keys).items()}
    return [found[queue].get(id_) for queue, id_ in keys]


def states(tx: Transaction, keys: Sequence[JobKey]) -> list[JobState | None]:
    """Return the state of each job, where there is one."""
    found: dict[str, dict[str, str]] = {}
    for queue, ids in by_queue(keys).items():
        found[queue] = dict(tx.parsed("states", {"queue": queue, "ids": array(ids)}))
    known = (found[queue].get(id_) for queue, id_ in keys)
    return [None if state is None else JobState(state) for state in known]


def search(tx: Transaction, queue: str, query: JobQuery, after: str | None) -> Page:
    """Return a page of the jobs that match, in the byte order of their ids or its reverse."""
    start, direction = after, "down" if query.newest_first else "up"
    beginning, end = (_BEYOND, "") if query.newest_first else ("", _BEYOND)
    bounds = {"queue": queue, "after": beginning if start is None else start}
    last = tx.value(f"search_step_{direction}", bounds | {"step": _STEP - 1})
    bounds["last"] = end if last is None else last
    ids = tx.parsed(f"search_{direction}", bounds | _filters(query))
    found = records(tx, queue, ids)
    if len(ids) == query.limit:
        last = ids[-1]
    return Page([found[id_] for id_ in ids], None if last is None else _cursor(last))


def _filters(query: JobQuery) -> dict[str, object]:
    since, before = query.enqueued_from, query.enqueued_to
    states = None if query.states is None else {state.value for state in query.states}
    return {
        "states": _array_or_none(states),
        "names": _array_or_none(query.names),
        "ids": _array_or_none(query.ids),
        "tags": _array_or_none(query.tags or None),
        "metadata": array(dict(query.metadata)) if query.metadata else None,
        "enqueued_from": None if since is None else to_micros(since),
        "enqueued_to": None if before is None else to_micros(before),
        "limit": query.limit,
    }


def _array_or_none(items: frozenset[str] | set[str] | None) -> str | None:
    return None if items is None else array(sorted(items))


def _cursor(id_: str) -> str:
    return base64.urlsafe_b64encode(id_.encode()).decode()


def cursor_id(cursor: str) -> str:
    """Return the id that a page ended with.

    Raises:
        InvalidInput: this is not a cursor.
    """
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise InvalidInput(f"{cursor[:80]!r} is not a cursor of a search") from error


def queues(tx: Transaction) -> list[str]:
    """Return every queue that was ever used."""
    return [queue for (queue,) in tx.rows("queues", {})]


def stats(tx: Transaction, names: Sequence[str], cap: int, now: int) -> dict[str, QueueStats]:
    """Count the jobs of each queue by state."""
    return {name: _stats(tx, name, cap, now) for name in names}


def _stats(tx: Transaction, queue: str, cap: int, now: int) -> QueueStats:
    limits = {"queue": queue, "cap": cap + 1}
    scheduled, ready, running = tx.rows("count_live", limits)[0]
    counts = {JobState.SCHEDULED: scheduled, JobState.READY: ready, JobState.RUNNING: running}
    for state in sorted(TERMINAL_STATES):
        counts[state] = tx.value("count_ended", limits | {"state": state.value})
    more = {state for state, count in counts.items() if count > cap} - {JobState.RUNNING}
    counts |= dict.fromkeys(more, cap)
    since = tx.value("oldest_ready", {"queue": queue})
    paused = tx.rows("paused", {"queue": queue})
    return QueueStats(
        counts=counts,
        at_least=frozenset(more),
        oldest_ready=None if since is None else span(now - since),
        paused=bool(paused and paused[0][0]),
    )
