"""Questions: records, pages of records, and how full queues are."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Final

from stoker.driver import JobKey, JobQuery, JobRecord, Page, QueueStats, to_micros
from stoker.errors import InvalidInput
from stoker.job import JobState
from stoker_postgres._jobs import STATES, record
from stoker_postgres._statements import Statements
from stoker_postgres._times import span

__all__ = ["columns", "cursor_id", "get", "queues", "search", "states", "stats"]

_STEP: Final = 5_000
"""How many jobs one search looks at before it hands back what it has."""

_COUNTED: Final = (
    JobState.SCHEDULED,
    JobState.READY,
    JobState.RUNNING,
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.CANCELLED,
)
"""In the order of `stats.sql`."""


def columns(keys: Sequence[JobKey]) -> tuple[list[str], list[str]]:
    """Return the queues and the ids of some keys."""
    return [key.queue for key in keys], [key.id for key in keys]


async def get(db: Statements, keys: Sequence[JobKey]) -> list[JobRecord | None]:
    """Return the record of each key, where there is one."""
    records = (record(row) for row in await db.rows("get", *columns(keys)))
    found = {one.key: one for one in records}
    return [found.get(key) for key in keys]


async def states(db: Statements, keys: Sequence[JobKey]) -> list[JobState | None]:
    """Return the state of each job, where there is one."""
    found: list[JobState | None] = [None] * len(keys)
    for number, state in await db.rows("states", *columns(keys)):
        found[number - 1] = STATES[state]
    return found


async def search(db: Statements, queue: str, query: JobQuery, after: str | None) -> Page:
    """Return a page of the jobs that match, in the byte order of their ids or its reverse."""
    since, before = query.enqueued_from, query.enqueued_to
    rows = await db.rows(
        "search_down" if query.newest_first else "search_up",
        queue,
        after,
        _STEP,
        query.limit,
        None if query.states is None else [state.value for state in query.states],
        None if query.names is None else list(query.names),
        None if query.ids is None else list(query.ids),
        list(query.tags) or None,
        json.dumps(dict(query.metadata)) if query.metadata else None,
        None if since is None else to_micros(since),
        None if before is None else to_micros(before),
    )
    records = [record(row, 1) for row in rows if row[1] is not None]
    last = records[-1].key.id if len(records) == query.limit else rows[0][0]
    return Page(records, None if last is None else _cursor(last))


def _cursor(id_: str) -> str:
    return base64.urlsafe_b64encode(id_.encode()).decode()


def cursor_id(cursor: str) -> str:
    """Return the id that a page ended with.

    Raises:
        InvalidInput: this is not a cursor.
    """
    try:
        id_ = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise InvalidInput(f"{cursor[:80]!r} is not a cursor of a search") from error
    if not id_ or "\0" in id_:
        raise InvalidInput(f"{cursor[:80]!r} is not a cursor of a search")
    return id_


async def queues(db: Statements) -> list[str]:
    """Return every queue that holds a job, a schedule or a pause."""
    return [row[0] for row in await db.rows("queues")]


async def stats(
    db: Statements, names: Sequence[str], cap: int, now: int | None
) -> dict[str, QueueStats]:
    """Count the jobs of each queue by state."""
    full: dict[str, QueueStats] = {}
    for row in await db.rows("stats", now, list(dict.fromkeys(names)), cap + 1):
        counts = dict(zip(_COUNTED, row[1:7], strict=True))
        more = {state for state, count in counts.items() if count > cap} - {JobState.RUNNING}
        full[row[0]] = QueueStats(
            counts=counts | dict.fromkeys(more, cap),
            at_least=frozenset(more),
            oldest_ready=None if row[7] is None else span(row[7]),
            paused=bool(row[8]),
        )
    return full
