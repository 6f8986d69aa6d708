"""Changes from outside of a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from stoker.driver import Changed, ChangeStatus, JobKey, When
from stoker.job import PENDING_STATES, JobState
from stoker_postgres._inspect import columns, states
from stoker_postgres._jobs import STATES
from stoker_postgres._statements import Statements
from stoker_postgres._times import when as times

__all__ = ["cancel", "pause", "remove", "reschedule", "retry"]

_GONE: Final = Changed(ChangeStatus.GONE)
_BUSY: Final = Changed(ChangeStatus.BUSY)
_REMOVED: Final = Changed(ChangeStatus.DONE)


async def cancel(
    db: Statements, keys: Sequence[JobKey], reason: str, now: int | None
) -> list[Changed]:
    """Cancel pending jobs; leave a request for the workers of running ones."""
    answers: dict[int, Changed] = {}
    for number, before in await db.rows("cancel", now, *columns(keys), reason, db.channel):
        state = STATES[before]
        if state in PENDING_STATES:
            answers[number] = Changed(ChangeStatus.DONE, JobState.CANCELLED)
        elif state is JobState.RUNNING:
            answers[number] = Changed(ChangeStatus.REQUESTED, state)
        else:
            answers[number] = Changed(ChangeStatus.NOT_APPLICABLE, state)
    return await _with_skipped(db, keys, answers)


async def retry(db: Statements, keys: Sequence[JobKey], now: int | None) -> list[Changed]:
    """Let failed and cancelled jobs begin anew, at the end of their priority."""
    hints = [f"W{queue}" for queue in dict.fromkeys(key.queue for key in keys)]
    answers: dict[int, Changed] = {}
    rows = await db.rows("retry", now, *columns(keys), db.channel, hints)
    for number, status, state, existing in rows:
        after = None if state is None else STATES[state]
        answers[number] = Changed(ChangeStatus(status), after, existing)
    return await _with_skipped(db, keys, answers)


async def reschedule(
    db: Statements, keys: Sequence[JobKey], when: When, now: int | None
) -> list[Changed]:
    """Move pending jobs to another time."""
    answers: dict[int, Changed] = {}
    rows = await db.rows("reschedule", now, *columns(keys), *times(when), db.channel)
    for number, before, after in rows:
        if STATES[before] in PENDING_STATES:
            answers[number] = Changed(ChangeStatus.DONE, STATES[after])
        else:
            answers[number] = Changed(ChangeStatus.NOT_APPLICABLE, STATES[before])
    return await _with_skipped(db, keys, answers)


async def remove(db: Statements, keys: Sequence[JobKey]) -> list[Changed]:
    """Delete jobs in any state, and free their keys."""
    rows = await db.rows("remove", *columns(keys))
    return await _with_skipped(db, keys, dict.fromkeys((row[0] for row in rows), _REMOVED))


async def pause(db: Statements, queue: str, paused: bool) -> None:
    """Pause or resume a queue."""
    if paused:
        await db.rows("pause", queue)
    else:
        await db.rows("resume", queue, db.channel)


async def _with_skipped(
    db: Statements, keys: Sequence[JobKey], answers: Mapping[int, Changed]
) -> list[Changed]:
    """Return the answers by number, and what to say of jobs that were skipped or are not there."""
    missing = [at for at in range(len(keys)) if at + 1 not in answers]
    found = await states(db, [keys[at] for at in missing]) if missing else []
    skipped = {
        at: _GONE if state is None else _BUSY for at, state in zip(missing, found, strict=True)
    }
    return [answers[at + 1] if at + 1 in answers else skipped[at] for at in range(len(keys))]
