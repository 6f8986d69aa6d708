"""Storing jobs: ids first, then unique keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from stoker.driver import (
    IMMEDIATELY,
    Enqueued,
    EnqueueStatus,
    KeepFor,
    NewJob,
    OnConflict,
    Unique,
    resolve,
)
from stoker.job import PENDING_STATES, JobState
from stoker_sqlite import _keys
from stoker_sqlite._effects import Effects
from stoker_sqlite._sql import statement
from stoker_sqlite._times import micros
from stoker_sqlite._transaction import Transaction, array

__all__ = ["enqueue"]

_INSERTED: Final = Enqueued(EnqueueStatus.INSERTED)
_DUPLICATE: Final = Enqueued(EnqueueStatus.DUPLICATE_ID)

_LARGE: Final = 512
"""Payloads of more bytes are attachments: every change of a job writes its whole row again. From
about here on that costs more than the attachment; at 2,000 bytes, twice as much."""

_Row = tuple[Any, ...]
_PLACE: Final = 4
_PAYLOAD: Final = 11


def enqueue(tx: Transaction, jobs: Sequence[NewJob], now: int) -> list[Enqueued]:
    """Store each job at most once, and answer in their order."""
    positions: dict[str, list[int]] = {}
    for at, job in enumerate(jobs):
        positions.setdefault(job.key.queue, []).append(at)
    if len(positions) == 1:
        return _enqueue(tx, jobs[0].key.queue, jobs, now)
    answers = [_INSERTED] * len(jobs)
    for queue, places in positions.items():
        part = _enqueue(tx, queue, [jobs[at] for at in places], now)
        for at, answer in zip(places, part, strict=True):
            answers[at] = answer
    return answers


def _enqueue(tx: Transaction, queue: str, jobs: Sequence[NewJob], now: int) -> list[Enqueued]:
    # The first statement is a write, so that a deferred transaction waits for the lock here.
    first = tx.places(queue, len(jobs))
    if any(job.unique is not None for job in jobs):
        return _Intake(tx, queue, first, now).add(jobs)
    rows = [_row(job, place, now) for place, job in enumerate(jobs, first)]
    inserted = tx.cursor.executemany(statement("enqueue"), rows).rowcount
    _attach_payloads(tx, jobs, rows)
    if inserted == len(jobs):
        return [_INSERTED] * len(jobs)
    return _classify(tx, queue, jobs, first)


def _classify(tx: Transaction, queue: str, jobs: Sequence[NewJob], first: int) -> list[Enqueued]:
    """Tell what was inserted from what existed: each insertion has the place of its item."""
    existing = _existing(tx, queue, [job.key.id for job in jobs])
    answers: list[Enqueued] = []
    resent: set[str] = set()
    for place, job in enumerate(jobs, first):
        nonce, had = existing[job.key.id]
        inserted = had == place or (had < first and _is_resent(job, nonce, resent))
        answers.append(_INSERTED if inserted else _DUPLICATE)
    return answers


def _existing(tx: Transaction, queue: str, ids: Sequence[str]) -> dict[str, tuple[str | None, int]]:
    rows = tx.parsed("enqueue_existing", {"queue": queue, "ids": array(list(ids))})
    return {id_: (nonce, place) for id_, nonce, place in rows}


def _is_resent(job: NewJob, nonce: str | None, resent: set[str]) -> bool:
    """Whether this is the request that stored the job, sent again; once in a batch."""
    if not job.nonce or job.nonce != nonce or job.key.id in resent:
        return False
    resent.add(job.key.id)
    return True


class _Intake:
    """What one call stores in one queue when unique keys play a part: one job after the other."""

    def __init__(self, tx: Transaction, queue: str, first: int, now: int) -> None:
        self._tx = tx
        self._queue = queue
        self._first = first
        self._now = now
        self._resent: set[str] = set()
        self._stored: set[str] = set()
        """The ids that this very call has stored."""

    def add(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """Store jobs, unless their id or unique key is taken."""
        existing = _existing(self._tx, self._queue, [job.key.id for job in jobs])
        return [
            self._add(job, place, existing.get(job.key.id))
            for place, job in enumerate(jobs, self._first)
        ]

    def _add(self, job: NewJob, place: int, existing: tuple[str | None, int] | None) -> Enqueued:
        if job.key.id in self._stored:
            return _DUPLICATE
        if existing is not None:
            return _INSERTED if _is_resent(job, existing[0], self._resent) else _DUPLICATE
        if job.unique is not None:
            holder = _keys.holder(self._tx, self._queue, job.unique.key, self._now)
            conflict = None if holder is None else self._same_key(job, job.unique, holder)
            if conflict is not None:
                return conflict
            _keys.take(self._tx, self._queue, job.key.id, job.unique, self._now)
        row = _row(job, place, self._now)
        self._tx.cursor.execute(statement("enqueue"), row)
        _attach_payloads(self._tx, [job], [row])
        self._stored.add(job.key.id)
        return _INSERTED

    def _same_key(self, job: NewJob, unique: Unique, holder: _keys.Holder) -> Enqueued | None:
        """Answer for a job whose key is held; `None` when the holder made way for it."""
        if holder.state is None:
            return Enqueued(EnqueueStatus.UNIQUE_CONFLICT)
        movable = holder.state in PENDING_STATES and holder.id not in self._stored
        if not movable or unique.on_conflict is OnConflict.KEEP:
            return Enqueued(EnqueueStatus.UNIQUE_CONFLICT, holder.id)
        effects = Effects(self._tx, self._queue, [holder.id], self._now)
        found = effects.jobs[holder.id]
        if unique.on_conflict is OnConflict.REPLACE:
            found.cancel_reason = f"replaced by {job.key.id}"
            effects.end(found, JobState.CANCELLED)
            effects.flush()
            return None
        effects.move(found, job.run_at)
        effects.flush()
        return Enqueued(EnqueueStatus.RESCHEDULED, holder.id)


def _attach_payloads(tx: Transaction, jobs: Sequence[NewJob], rows: Sequence[_Row]) -> None:
    large = [
        (job.payload, row[0], row[1], row[_PLACE])
        for job, row in zip(jobs, rows, strict=True)
        if row[_PAYLOAD] is None
    ]
    if large:
        tx.cursor.executemany(statement("enqueue_payload"), large)


def _row(job: NewJob, place: int, now: int) -> _Row:
    """Return the row of a new job, in the order of `enqueue.sql`."""
    run_at = now if job.run_at is IMMEDIATELY else resolve(job.run_at, now)
    ready = run_at <= now
    unique = job.unique
    completed, failed, cancelled = _keep(job.keep)
    return (
        job.key.queue,
        job.key.id,
        "ready" if ready else "scheduled",
        job.priority,
        place,
        run_at,
        job.max_attempts,
        job.max_crashes,
        now,
        now if ready else None,
        job.name,
        _inline(job.payload),
        job.payload_version,
        None if job.expires is None else resolve(job.expires, now),
        None if job.timeout is None else micros(job.timeout),
        completed,
        failed,
        cancelled,
        None if unique is None else unique.key,
        None if unique is None else _keys.until_text(unique),
        array(sorted(set(job.tags))) if job.tags else None,
        _object(job.metadata),
        _object(job.headers),
        job.nonce or None,
    )


def _inline(payload: bytes) -> str | None:
    """Return a payload as text, if it is small and comes back from a text as it is."""
    if len(payload) > _LARGE or b"\0" in payload:
        return None
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def _object(mapping: Mapping[str, str]) -> str | None:
    return array(dict(mapping)) if mapping else None


def _keep(keep: KeepFor | None) -> tuple[int | None, int | None, int | None]:
    if keep is None:
        return None, None, None
    return (
        None if keep.completed is None else micros(keep.completed),
        None if keep.failed is None else micros(keep.failed),
        None if keep.cancelled is None else micros(keep.cancelled),
    )
