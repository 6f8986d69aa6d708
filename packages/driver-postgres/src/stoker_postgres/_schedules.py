"""Recurring jobs: rows that are compared by version before they change."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.driver import After, Fired, FireStatus, NewJob, Schedule, ScheduleBook, When, to_micros
from stoker_postgres._asyncpg import Row
from stoker_postgres._enqueue import enqueue
from stoker_postgres._statements import Statements
from stoker_postgres._times import instant, instant_or_none, micros, span

__all__ = ["fire", "listed", "put", "remove"]


async def put(
    db: Statements, queue: str, name: str, definition: bytes, next_at: When, now: int | None
) -> Schedule:
    """Create a schedule, or replace it if the definition is another."""
    if isinstance(next_at, After):
        tick: tuple[int | None, int | None] = micros(next_at.delay), None
    else:
        tick = None, to_micros(next_at.time)
    rows = await db.rows("schedule_put", now, queue, name, definition, *tick)
    return _schedule(rows[0], rows[0][7])


async def fire(
    db: Statements,
    queue: str,
    name: str,
    expected_version: int,
    next_at: int | None,
    jobs: Sequence[NewJob],
    now: int | None,
) -> Fired:
    """Advance a schedule past the tick that is due, and store its jobs; within a transaction."""
    rows = await db.rows("schedule_lock", now, queue, name)
    if not rows:
        return Fired(FireStatus.GONE, instant(await _time(db, now)), [], None)
    at = rows[0][7]
    schedule = _schedule(rows[0], at)
    if schedule.version != expected_version:
        return Fired(FireStatus.CONFLICT, instant(at), [], schedule)
    if schedule.due_in is None or schedule.due_in:
        return Fired(FireStatus.NOT_DUE, instant(at), [], schedule)
    advanced = await db.rows("schedule_advance", queue, name, next_at)
    enqueued = await enqueue(db, jobs, at, hints=[queue]) if jobs else []
    return Fired(FireStatus.FIRED, instant(at), enqueued, _schedule(advanced[0], at))


async def listed(db: Statements, queues: Sequence[str], now: int | None) -> ScheduleBook:
    """Return the schedules of some queues, by queue and name."""
    rows = await db.rows("schedule_list", now, list(queues))
    at = rows[0][0]
    found = [_schedule(row[1:], at) for row in rows if row[1] is not None]
    return ScheduleBook(found, instant(at))


async def remove(db: Statements, queue: str, name: str) -> bool:
    """Delete a schedule; return whether there was one."""
    return bool(await db.rows("schedule_remove", queue, name))


async def _time(db: Statements, now: int | None) -> int:
    return int((await db.rows("schedule_list", now, []))[0][0])


def _schedule(row: Row, now: int) -> Schedule:
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
