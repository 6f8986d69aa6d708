"""Recurring jobs: rows that are compared by version before they change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stoker.driver import Fired, FireStatus, NewJob, Schedule, ScheduleBook, When, resolve
from stoker_sqlite._enqueue import enqueue
from stoker_sqlite._times import instant, instant_or_none, span
from stoker_sqlite._transaction import Transaction, array

__all__ = ["fire", "listed", "put", "remove"]


def put(
    tx: Transaction, queue: str, name: str, definition: bytes, next_at: When, now: int
) -> Schedule:
    """Create a schedule, or replace it if the definition is another."""
    tx.places(queue, 0)
    values = {"queue": queue, "name": name, "definition": definition}
    tx.do("schedule_put", values | {"next_at": resolve(next_at, now, keep_past=True)})
    return _schedule(tx.rows("schedule_get", {"queue": queue, "name": name})[0], now)


def fire(
    tx: Transaction,
    queue: str,
    name: str,
    expected_version: int,
    next_at: int | None,
    jobs: Sequence[NewJob],
    now: int,
) -> Fired:
    """Advance a schedule past the tick that is due, and store its jobs."""
    key = {"queue": queue, "name": name}
    rows = tx.rows("schedule_get", key)
    if not rows:
        return Fired(FireStatus.GONE, instant(now), [], None)
    schedule = _schedule(rows[0], now)
    if schedule.version != expected_version:
        return Fired(FireStatus.CONFLICT, instant(now), [], schedule)
    if schedule.due_in is None or schedule.due_in:
        return Fired(FireStatus.NOT_DUE, instant(now), [], schedule)
    tx.do("schedule_fire", key | {"next_at": next_at})
    enqueued = enqueue(tx, jobs, now) if jobs else []
    advanced = _schedule(tx.rows("schedule_get", key)[0], now)
    return Fired(FireStatus.FIRED, instant(now), enqueued, advanced)


def listed(tx: Transaction, queues: Sequence[str], now: int) -> ScheduleBook:
    """Return the schedules of some queues, by queue and name."""
    rows = tx.rows("schedule_list", {"queues": array(list(queues))})
    return ScheduleBook([_schedule(row, now) for row in rows], instant(now))


def remove(tx: Transaction, queue: str, name: str) -> bool:
    """Delete a schedule; return whether there was one."""
    version = tx.value("schedule_remove", {"queue": queue, "name": name})
    if version is None:
        return False
    tx.do("schedule_removed", {"queue": queue, "version": version})
    return True


def _schedule(row: Sequence[Any], now: int) -> Schedule:
    next_at = row[3]
    return Schedule(
        queue=row[0],
        name=row[1],
        definition=row[2],
        next_at=instant_or_none(next_at),
        last_at=instant_or_none(row[4]),
        count=row[5],
        version=row[6],
        due_in=None if next_at is None else span(next_at - now),
    )
