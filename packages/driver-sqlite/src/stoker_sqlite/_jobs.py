"""Rows of jobs as values: leases, records, and what a change has to know of a job."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from stoker.driver import JobRecord, KeepFor, Lease
from stoker.job import JobKey, JobState, Token
from stoker_sqlite._times import instant, instant_or_none
from stoker_sqlite._transaction import Transaction, array

__all__ = ["Found", "Leased", "by_queue", "find", "leases", "records"]

_STATES: Final = {state.value: state for state in JobState}
_NOTHING_KEPT: Final = KeepFor()


class Found:
    """What a change has to know of a job, in the order of `find.sql`.

    A change notes what it does here, and is written by `Effects` afterwards.
    """

    __slots__ = (
        "attempt",
        "cancel_reason",
        "crashes",
        "epoch",
        "id",
        "job",
        "keep_cancelled",
        "keep_completed",
        "keep_failed",
        "max_attempts",
        "max_crashes",
        "parked_since",
        "place",
        "settled_as",
        "settled_to",
        "snoozes",
        "state",
        "unique_key",
        "unique_until",
    )

    def __init__(
        self,
        job: int,
        id: str,  # noqa: A002 - the column's name
        state: str,
        epoch: int,
        attempt: int,
        max_attempts: int,
        crashes: int,
        max_crashes: int,
        snoozes: int,
        place: int,
        parked_since: int | None,
        settled_as: str | None,
        settled_to: str | None,
        cancel_reason: str | None,
        keep_completed: int | None,
        keep_failed: int | None,
        keep_cancelled: int | None,
        unique_key: str | None,
        unique_until: str | None,
    ) -> None:
        self.job = job
        self.id = id
        self.state = _STATES[state]
        self.epoch = epoch
        self.attempt = attempt
        self.max_attempts = max_attempts
        self.crashes = crashes
        self.max_crashes = max_crashes
        self.snoozes = snoozes
        self.place = place
        self.parked_since = parked_since
        self.settled_as = settled_as
        self.settled_to = None if settled_to is None else _STATES[settled_to]
        self.cancel_reason = cancel_reason
        self.keep_completed = keep_completed
        self.keep_failed = keep_failed
        self.keep_cancelled = keep_cancelled
        self.unique_key = unique_key
        self.unique_until = unique_until

    def own_age(self, state: JobState) -> int | None:
        """How long the job itself wants its record kept after it ends in `state`."""
        if state is JobState.COMPLETED:
            return self.keep_completed
        return self.keep_failed if state is JobState.FAILED else self.keep_cancelled


def by_queue(keys: Sequence[JobKey]) -> dict[str, list[str]]:
    """Return the ids that are asked for in each queue."""
    ids: dict[str, list[str]] = {}
    for queue, id_ in keys:
        ids.setdefault(queue, []).append(id_)
    return ids


def find(tx: Transaction, queue: str, ids: Sequence[str]) -> dict[str, Found]:
    """Return the jobs of a queue that have these ids."""
    rows = tx.parsed("find", {"queue": queue, "ids": array(ids)})
    return {row[1]: Found(*row) for row in rows}


class Leased(NamedTuple):
    """A running job: its lease, who holds it, and the unique key that it was enqueued with."""

    lease: Lease
    worker: str
    unique_key: str | None
    unique_until: str | None


def leases(tx: Transaction, jobs: str) -> list[Leased]:
    """Return what is known of each of these running jobs (a JSON array), in their order."""
    rows = tx.parsed("leases", {"jobs": jobs})
    large = [row[0] for row in rows if row[5] is None]
    attached = dict(tx.rows("payloads", {"jobs": array(large)})) if large else {}
    return [Leased(_lease(row, attached), *row[22:]) for row in rows]


def _lease(row: list[Any], attached: Mapping[int, bytes]) -> Lease:
    payload = row[5]
    return Lease(
        token=Token(JobKey(row[1], row[2]), row[3]),
        name=row[4],
        payload=attached[row[0]] if payload is None else payload.encode(),
        payload_version=row[6],
        priority=row[7],
        attempt=row[8],
        max_attempts=row[9],
        crashes=row[10],
        snoozes=row[11],
        parked_since=instant_or_none(row[12]),
        enqueued_at=instant(row[13]),
        run_at=instant(row[14]),
        claimed_at=instant(row[15]),
        expires_at=instant(row[16]),
        expires=instant_or_none(row[17]),
        timeout=_span_or_none(row[18]),
        tags=tuple(row[19] or ()),
        metadata=row[20] or {},
        headers=row[21] or {},
    )


def records(tx: Transaction, queue: str, ids: Sequence[str]) -> dict[str, JobRecord]:
    """Return the records of a queue that have these ids."""
    rows = tx.rows("get", {"queue": queue, "ids": array(ids)})
    if not rows:
        return {}
    attached: dict[int, dict[str, list[bytes]]] = {}
    for job, kind, body in tx.rows("attachments", {"jobs": array([row[0] for row in rows])}):
        attached.setdefault(job, {}).setdefault(kind, []).append(body)
    return {row[2]: _record(row, attached.get(row[0], {})) for row in rows}


def _record(row: Sequence[Any], attached: Mapping[str, Sequence[bytes]]) -> JobRecord:
    return JobRecord(
        key=JobKey(row[1], row[2]),
        name=row[3],
        state=_STATES[row[4]],
        payload=attached["payload"][0] if row[5] is None else row[5].encode(),
        payload_version=row[6],
        priority=row[7],
        epoch=row[8],
        attempt=row[9],
        max_attempts=row[10],
        crashes=row[11],
        max_crashes=row[12],
        snoozes=row[13],
        parked_since=instant_or_none(row[14]),
        enqueued_at=instant(row[15]),
        run_at=instant(row[16]),
        ready_at=instant_or_none(row[17]),
        claimed_at=instant_or_none(row[18]),
        expires_at=instant_or_none(row[19]),
        finished_at=instant_or_none(row[20]),
        expires=instant_or_none(row[21]),
        timeout=_span_or_none(row[22]),
        keep=_keep(row[23], row[24], row[25]),
        unique_key=row[26],
        worker=row[27],
        cancel_reason=row[28],
        errors=tuple(attached.get("error", ())),
        result=row[29],
        progress=next(iter(attached.get("progress", ())), None),
        logs=tuple(attached.get("log", ())),
        tags=tuple(json.loads(row[30])) if row[30] else (),
        metadata=json.loads(row[31]) if row[31] else {},
        headers=json.loads(row[32]) if row[32] else {},
    )


def _keep(completed: int | None, failed: int | None, cancelled: int | None) -> KeepFor:
    if completed is failed is cancelled is None:
        return _NOTHING_KEPT
    return KeepFor(_span_or_none(completed), _span_or_none(failed), _span_or_none(cancelled))


def _span_or_none(length: int | None) -> timedelta | None:
    return None if length is None else timedelta(microseconds=length)
