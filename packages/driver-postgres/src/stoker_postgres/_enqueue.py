"""Storing jobs: in one statement, and another one if some of them existed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from stoker.driver import (
    IMMEDIATELY,
    After,
    At,
    Definition,
    Enqueued,
    EnqueueStatus,
    NewJob,
    Unique,
    Until,
    When,
    to_micros,
)
from stoker.job import JobKey
from stoker_postgres._statements import Statements
from stoker_postgres._times import micros, when

__all__ = ["LOCK_PATIENCE", "enqueue", "options_text"]

LOCK_PATIENCE: Final = "2s"
"""How long an enqueue outside of a user's transaction waits for a row that somebody holds."""

_INSERTED: Final = Enqueued(EnqueueStatus.INSERTED)
_DUPLICATE: Final = Enqueued(EnqueueStatus.DUPLICATE_ID)

_text: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


async def enqueue(
    db: Statements,
    jobs: Sequence[NewJob],
    now: int | None,
    *,
    hints: Sequence[str],
    patience: str | None = LOCK_PATIENCE,
) -> list[Enqueued]:
    """Store each job at most once, and answer in their order.

    Args:
        db: runs the statements.
        jobs: what to store.
        now: the time; `None` for the server's.
        hints: the queues whose workers are told when this is committed.
        patience: how long to wait for locks; `None` for as long as the connection says.
    """
    head = (now, patience, db.channel, "\n".join([f"W{queue}" for queue in hints]) or None)
    columns = _columns(jobs)
    if any(job.unique is not None for job in jobs):
        answers = [_INSERTED] * len(jobs)
        for number, status, existing in await db.rows("enqueue_unique", *head, *columns):
            answers[number - 1] = Enqueued(EnqueueStatus(status), existing)
        return answers
    if len(jobs) == 1:
        if await db.rows("enqueue_one", *head, *_lines(columns)):
            return [_INSERTED]
        return await _with_duplicates(db, jobs, set())
    [(stored, queues, ids, _)] = await db.rows("enqueue", *head, *_lines(columns))
    if stored == len(jobs):
        return [_INSERTED] * len(jobs)
    return await _with_duplicates(db, jobs, set(map(JobKey, queues, ids)))


async def _with_duplicates(
    db: Statements, jobs: Sequence[NewJob], stored: set[JobKey]
) -> list[Enqueued]:
    """Tell requests that were sent again from ids that are taken.

    It takes a second statement: the first cannot see a job that was stored while it waited.
    """
    others = list({job.key for job in jobs} - stored)
    queues, ids = [key.queue for key in others], [key.id for key in others]
    rows = await db.rows("enqueue_existing", queues, ids)
    nonces: dict[JobKey, str | None] = {JobKey(queue, id_): nonce for queue, id_, nonce in rows}
    answers: list[Enqueued] = []
    for job in jobs:
        is_resent = bool(job.nonce) and nonces.get(job.key) == job.nonce
        answers.append(_INSERTED if job.key in stored or is_resent else _DUPLICATE)
        # Of one id the first is stored, or was before: a second one is a duplicate.
        stored.discard(job.key)
        if is_resent:
            del nonces[job.key]
    return answers


def _columns(jobs: Sequence[NewJob]) -> tuple[list[Any], ...]:
    """Return the properties of jobs, a list for each, in the order of the statements."""
    times = [(0, None) if job.run_at is IMMEDIATELY else when(job.run_at) for job in jobs]
    return (
        [job.key.queue for job in jobs],
        [job.key.id for job in jobs],
        [job.name for job in jobs],
        [job.payload for job in jobs],
        [job.nonce or None for job in jobs],
        [job.priority for job in jobs],
        [delay for delay, _ in times],
        [at for _, at in times],
        [job.max_attempts for job in jobs],
        [job.max_crashes for job in jobs],
        [job.payload_version for job in jobs],
        [options_text(job) for job in jobs],
    )


def _lines(columns: tuple[list[Any], ...]) -> Iterator[list[bytes] | str | None]:
    """Return columns as texts of a line for each job, or of one line for all that are alike.

    No text of a job has an end of line in it. A text takes a client a fraction of what an array
    does, and most properties are the same for all jobs of a batch. Payloads stay as they are; no
    text at all is sent for nonces that are the ids.
    """
    _, ids, _, payloads, nonces, *_ = columns
    for column in columns:
        if column is payloads:
            yield payloads
        elif column is nonces and nonces == ids:
            yield None
        else:
            alike = column.count(column[0]) == len(column)
            lines = column[:1] if alike else column
            yield "\n".join(["" if entry is None else str(entry) for entry in lines])


def options_text(job: NewJob | Definition) -> str | None:
    """Return what few jobs have, as `stoker.options` reads it."""
    options: dict[str, object] = {}
    if job.expires is not None:
        _put_when(options, "expires", job.expires)
    if job.timeout is not None:
        options["timeout"] = micros(job.timeout)
    if job.keep is not None:
        ages = {
            "keep_completed": job.keep.completed,
            "keep_failed": job.keep.failed,
            "keep_cancelled": job.keep.cancelled,
        }
        options |= {name: micros(age) for name, age in ages.items() if age is not None}
    if job.unique is not None:
        _put_unique(options, job.unique)
    if job.tags:
        options["tags"] = sorted(set(job.tags))
    if job.metadata:
        options["metadata"] = dict(job.metadata)
    if isinstance(job, NewJob) and job.headers:
        options["headers"] = _text(dict(job.headers))
    return _text(options) if options else None


def _put_unique(options: dict[str, object], unique: Unique) -> None:
    options["key"] = unique.key
    options["on_conflict"] = unique.on_conflict.value
    if isinstance(unique.until, Until):
        options["until"] = unique.until.value
    else:
        options["until"] = "time"
        _put_when(options, "until", unique.until)


def _put_when(options: dict[str, object], name: str, time: When) -> None:
    match time:
        case After(delay=delay):
            options[f"{name}_delay"] = micros(delay)
        case At(time=moment):
            options[f"{name}_at"] = to_micros(moment)
