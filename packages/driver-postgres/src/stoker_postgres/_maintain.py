"""Upkeep: due jobs become ready, expired leases end, old records go."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.driver import Keep, Promoted, Reaped, Retention
from stoker.job import JobState
from stoker_postgres._jobs import STATES, lease
from stoker_postgres._statements import Statements
from stoker_postgres._times import micros, span

__all__ = ["promote", "purge", "reap"]


async def promote(db: Statements, queues: Sequence[str], limit: int, now: int | None) -> Promoted:
    """Make up to `limit` due jobs of each queue ready."""
    names = list(dict.fromkeys(queues))
    promoted, due_in = (await db.rows("promote", now, names, limit, db.channel))[0]
    return Promoted(promoted, None if due_in is None else span(due_in))


async def reap(
    db: Statements, queues: Sequence[str], limit: int, delay: int, error: bytes, now: int | None
) -> list[Reaped]:
    """End up to `limit` expired leases of each queue."""
    names = list(dict.fromkeys(queues))
    rows = await db.rows("reap", now, names, limit, delay, error, db.channel)
    return [Reaped(lease(row, 2), row[0], STATES[row[1]]) for row in rows]


async def purge(db: Statements, queue: str, policy: Retention, limit: int, now: int | None) -> int:
    """Delete up to `limit` terminal records that nothing keeps, and forget expired keys."""
    await db.rows("purge_keys", now, queue, limit)
    kept: dict[JobState, Keep] = {
        JobState.COMPLETED: policy.completed,
        JobState.FAILED: policy.failed,
        JobState.CANCELLED: policy.cancelled,
    }
    ages = [None if keep.max_age is None else micros(keep.max_age) for keep in kept.values()]
    newest = [keep.newest for keep in kept.values()]
    states = [state.value for state in kept]
    rows = await db.rows("purge", now, queue, limit, states, ages, newest)
    return int(rows[0][0])
