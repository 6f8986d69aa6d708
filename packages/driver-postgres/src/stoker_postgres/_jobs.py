"""Rows of jobs as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from stoker.driver import JobRecord, KeepFor, Lease
from stoker.job import JobKey, JobState, Token
from stoker_postgres._asyncpg import Row
from stoker_postgres._times import instant, instant_or_none, span_or_none

__all__ = ["STATES", "lease", "record"]

STATES: Final = {state.value: state for state in JobState}
_NOTHING_KEPT: Final = KeepFor()


def lease(row: Row, first: int) -> Lease:
    """Return the lease of a row, whose columns begin at `first` (as in `claim.sql`)."""
    (
        queue,
        id_,
        epoch,
        name,
        payload,
        payload_version,
        priority,
        attempt,
        max_attempts,
        crashes,
        snoozes,
        parked_since,
        enqueued_at,
        run_at,
        claimed_at,
        expires_at,
        expires,
        timeout,
        tags,
        metadata,
        headers,
    ) = row[first:]
    # By position, which is the order of the columns: by name it would take half as long again.
    return Lease(
        Token(JobKey(queue, id_), epoch),
        name,
        payload,
        payload_version,
        priority,
        attempt,
        max_attempts,
        crashes,
        snoozes,
        instant_or_none(parked_since),
        instant(enqueued_at),
        instant(run_at),
        instant(claimed_at),
        instant(expires_at),
        instant_or_none(expires),
        span_or_none(timeout),
        tuple(tags or ()),
        _mapping(metadata),
        _mapping(headers),
    )


def record(row: Row, first: int = 0) -> JobRecord:
    """Return the record of a row, whose columns begin at `first` (as in `get.sql`)."""
    row = row[first:]
    return JobRecord(
        key=JobKey(row[0], row[1]),
        name=row[2],
        state=STATES[row[3]],
        payload=row[4],
        payload_version=row[5],
        priority=row[6],
        epoch=row[7],
        attempt=row[8],
        max_attempts=row[9],
        crashes=row[10],
        max_crashes=row[11],
        snoozes=row[12],
        parked_since=instant_or_none(row[13]),
        enqueued_at=instant(row[14]),
        run_at=instant(row[15]),
        ready_at=instant_or_none(row[16]),
        claimed_at=instant_or_none(row[17]),
        expires_at=instant_or_none(row[18]),
        finished_at=instant_or_none(row[19]),
        expires=instant_or_none(row[20]),
        timeout=span_or_none(row[21]),
        keep=_keep(row[22], row[23], row[24]),
        unique_key=row[25],
        worker=row[26],
        cancel_reason=row[27],
        errors=tuple(row[28] or ()),
        result=row[29],
        progress=row[30],
        logs=tuple(row[34] or ()),
        tags=tuple(row[31] or ()),
        metadata=_mapping(row[32]),
        headers=_mapping(row[33]),
    )


def _mapping(text: str | None) -> Mapping[str, str]:
    return json.loads(text) if text else {}


def _keep(completed: int | None, failed: int | None, cancelled: int | None) -> KeepFor:
    if completed is failed is cancelled is None:
        return _NOTHING_KEPT
    return KeepFor(span_or_none(completed), span_or_none(failed), span_or_none(cancelled))
