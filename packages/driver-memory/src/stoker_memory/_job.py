"""A job as the store holds it, and the snapshots of it that leave the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.driver import JobRecord, KeepFor, Lease, NewJob, Outcome, Token, resolve
from stoker.job import JobState
from stoker_memory._heap import Ranked
from stoker_memory._keys import Hold
from stoker_memory._times import instant, instant_or_none

__all__ = ["Job", "append_error", "lease_of", "record_of", "report"]

_NEWEST_ERRORS: Final = 10
_NEWEST_LOGS: Final = 100
_KEEP_AS_THE_QUEUE_DOES: Final = KeepFor()
_EMPTY: Final[dict[str, str]] = {}
"""Shared by all jobs without entries; never changed, and only copies of it leave the store."""


class Job(Ranked):
    """One job. `new` is what was asked for and never changes; the rest is the job's life.

    Times are microseconds; byte strings and tuples are immutable, so that snapshots share them.
    """

    __slots__ = (
        "attempt",
        "cancel_reason",
        "claimed_at",
        "crashes",
        "enqueued_at",
        "epoch",
        "errors",
        "expires",
        "expires_at",
        "finished_at",
        "headers",
        "hold",
        "id",
        "logs",
        "metadata",
        "new",
        "parked_since",
        "priority",
        "progress",
        "ready_at",
        "result",
        "run_at",
        "sequence",
        "settled_kind",
        "settled_state",
        "snoozes",
        "state",
        "tags",
        "worker",
    )

    state: JobState

    def __init__(self, new: NewJob, sequence: int, now: int) -> None:
        self.new = new
        self.id = new.key.id
        self.priority = new.priority
        self.sequence = sequence
        """The place in the order of insertion, which is fixed for the job's life."""
        self.enqueued_at = now
        self.run_at = now
        self.expires = None if new.expires is None else resolve(new.expires, now)
        # What the caller could still change after the call is copied.
        self.tags = tuple(dict.fromkeys(new.tags)) if new.tags else ()
        self.metadata = dict(new.metadata) if new.metadata else _EMPTY
        self.headers = dict(new.headers) if new.headers else _EMPTY

        self.epoch = 0
        self.attempt = 0
        self.crashes = 0
        self.snoozes = 0
        self.parked_since: int | None = None
        self.ready_at: int | None = None
        self.claimed_at: int | None = None
        self.expires_at = 0
        """When the lease expires; meaningful only while the job runs."""
        self.finished_at: int | None = None
        self.worker: str | None = None
        self.hold: Hold | None = None
        """The unique key that it holds."""
        self.cancel_reason: str | None = None
        self.settled_kind: type[Outcome] | None = None
        """The kind of settlement that ended the last lease, and the state that it led to."""
        self.settled_state: JobState | None = None
        self.errors: tuple[bytes, ...] = ()
        self.result: bytes | None = None
        self.progress: bytes | None = None
        self.logs: tuple[bytes, ...] = ()


def append_error(job: Job, error: bytes) -> None:
    """Keep an error, and the newest of those before it."""
    job.errors = (*job.errors, error)[-_NEWEST_ERRORS:]


def report(job: Job, progress: bytes | None, logs: Sequence[bytes]) -> None:
    """Keep what a run reports: its last progress, and the newest of its logs."""
    if progress is not None:
        job.progress = progress
    if logs:
        job.logs = (*job.logs, *logs)[-_NEWEST_LOGS:]


def lease_of(job: Job) -> Lease:
    """Return the lease that the job is under, as of now."""
    new = job.new
    enqueued_at = instant(job.enqueued_at)
    parked_since, expires = job.parked_since, job.expires
    # By position, which costs less than names, and without a call where there is nothing to
    # convert: every job passes here.
    return Lease(
        Token(new.key, job.epoch),
        new.name,
        new.payload,
        new.payload_version,
        job.priority,
        job.attempt,
        new.max_attempts,
        job.crashes,
        job.snoozes,
        None if parked_since is None else instant(parked_since),
        enqueued_at,
        enqueued_at if job.run_at == job.enqueued_at else instant(job.run_at),
        instant(job.claimed_at or 0),
        instant(job.expires_at),
        None if expires is None else instant(expires),
        new.timeout,
        job.tags,
        job.metadata.copy(),
        job.headers.copy(),
    )


def record_of(job: Job) -> JobRecord:
    """Return the job's record, as of now."""
    new = job.new
    return JobRecord(
        key=new.key,
        name=new.name,
        state=job.state,
        payload=new.payload,
        payload_version=new.payload_version,
        priority=job.priority,
        epoch=job.epoch,
        attempt=job.attempt,
        max_attempts=new.max_attempts,
        crashes=job.crashes,
        max_crashes=new.max_crashes,
        snoozes=job.snoozes,
        parked_since=instant_or_none(job.parked_since),
        enqueued_at=instant(job.enqueued_at),
        run_at=instant(job.run_at),
        ready_at=instant_or_none(job.ready_at),
        claimed_at=instant_or_none(job.claimed_at),
        expires_at=instant(job.expires_at) if job.state is JobState.RUNNING else None,
        finished_at=instant_or_none(job.finished_at),
        expires=instant_or_none(job.expires),
        timeout=new.timeout,
        keep=new.keep or _KEEP_AS_THE_QUEUE_DOES,
        unique_key=new.unique.key if new.unique is not None else None,
        worker=job.worker,
        cancel_reason=job.cancel_reason,
        errors=job.errors,
        result=job.result,
        progress=job.progress,
        logs=job.logs,
        tags=job.tags,
        metadata=job.metadata.copy(),
        headers=job.headers.copy(),
    )
