"""A job as it is stored, and what the core gets to see of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

from stoker.driver import JobRecord, KeepFor, Lease, NewJob, Token, from_micros, resolve
from stoker.job import DEFAULT_PRIORITY, JobKey, JobState
from stoker_lmdb._layout import KEPT

_ERRORS_KEPT: Final = 10


def micros(length: timedelta) -> int:
    """Return a length of time in microseconds."""
    return length // timedelta(microseconds=1)


@dataclass
class Job:
    """All of a job but its payload. Times are microseconds since 1970, lengths microseconds."""

    key: JobKey
    name: str
    payload_version: int
    max_attempts: int
    max_crashes: int
    enqueued_at: int
    expires: int | None
    timeout: int | None
    keep: dict[str, int]
    tags: list[str]
    metadata: dict[str, str]
    headers: dict[str, str]
    nonce: str
    state: JobState = JobState.READY
    number: int = 0
    """Its place among the jobs of its state: run_at while it is scheduled, a number that rises
    while ready, expires_at while running; at last finished_at, or when its own `keep` is over."""
    run_at: int = 0
    epoch: int = 0
    attempt: int = 0
    crashes: int = 0
    snoozes: int = 0
    parked_since: int | None = None
    ready_at: int | None = None
    claimed_at: int | None = None
    finished_at: int | None = None
    worker: str | None = None
    cancel_reason: str | None = None
    errors: list[str] = field(default_factory=list)
    settled: list[str] | None = None
    """The kind of settlement that ended the last lease, and the state that it led to."""

    @classmethod
    def new(cls, job: NewJob, now: int) -> Self:
        """Return what is stored of a new job."""
        keep = job.keep or KeepFor()
        return cls(
            key=job.key,
            name=job.name,
            payload_version=job.payload_version,
            max_attempts=job.max_attempts,
            max_crashes=job.max_crashes,
            enqueued_at=now,
            expires=None if job.expires is None else resolve(job.expires, now),
            timeout=None if job.timeout is None else micros(job.timeout),
            keep={
                state: micros(age) for state in KEPT if (age := getattr(keep, state)) is not None
            },
            tags=sorted(set(job.tags)),
            metadata=dict(job.metadata),
            headers=dict(job.headers),
            nonce=job.nonce,
        )

    @classmethod
    def loads(cls, key: JobKey, data: bytes) -> Self:
        """Return the job that `dumps` made `data` of."""
        job = cls(key=key, **json.loads(data))
        job.state = JobState(job.state)
        return job

    def dumps(self) -> bytes:
        """Return the job as JSON, without the key under which it is found."""
        return json.dumps({name: it for name, it in vars(self).items() if name != "key"}).encode()

    @property
    def place(self) -> str:
        """The sub-database that has the job's number."""
        return KEPT[self.state] if self.state in self.keep else self.state

    def holds(self, token: Token) -> bool:
        """Whether `token` is valid: of the lease that runs. Its expiry does not matter."""
        return self.state is JobState.RUNNING and self.epoch == token.epoch

    def add_error(self, error: bytes) -> None:
        """Keep an error, and forget the oldest one beyond the limit."""
        self.errors = [*self.errors, error.decode(errors="surrogateescape")][-_ERRORS_KEPT:]

    def lease(self, payload: bytes) -> Lease:
        """Return the lease of a running job."""
        return Lease(
            token=Token(self.key, self.epoch),
            name=self.name,
            payload=payload,
            payload_version=self.payload_version,
            priority=DEFAULT_PRIORITY,
            attempt=self.attempt,
            max_attempts=self.max_attempts,
            crashes=self.crashes,
            snoozes=self.snoozes,
            parked_since=_time(self.parked_since),
            enqueued_at=from_micros(self.enqueued_at),
            run_at=from_micros(self.run_at),
            claimed_at=from_micros(self.claimed_at or 0),
            expires_at=from_micros(self.number),
            expires=_time(self.expires),
            timeout=_length(self.timeout),
            tags=tuple(self.tags),
            metadata=self.metadata,
            headers=self.headers,
        )

    def record(self, payload: bytes) -> JobRecord:
        """Return the job as an inspector sees it."""
        return JobRecord(
            key=self.key,
            name=self.name,
            state=self.state,
            payload=payload,
            payload_version=self.payload_version,
            priority=DEFAULT_PRIORITY,
            epoch=self.epoch,
            attempt=self.attempt,
            max_attempts=self.max_attempts,
            crashes=self.crashes,
            max_crashes=self.max_crashes,
            snoozes=self.snoozes,
            parked_since=_time(self.parked_since),
            enqueued_at=from_micros(self.enqueued_at),
            run_at=from_micros(self.run_at),
            ready_at=_time(self.ready_at),
            claimed_at=_time(self.claimed_at),
            expires_at=from_micros(self.number) if self.state is JobState.RUNNING else None,
            finished_at=_time(self.finished_at),
            expires=_time(self.expires),
            timeout=_length(self.timeout),
            keep=KeepFor(
                **{state: timedelta(microseconds=age) for state, age in self.keep.items()}
            ),
            unique_key=None,
            worker=self.worker,
            cancel_reason=self.cancel_reason,
            errors=tuple(error.encode(errors="surrogateescape") for error in self.errors),
            result=None,
            progress=None,
            logs=(),
            tags=tuple(self.tags),
            metadata=self.metadata,
            headers=self.headers,
        )


def _time(moment: int | None) -> datetime | None:
    return None if moment is None else from_micros(moment)


def _length(length: int | None) -> timedelta | None:
    return None if length is None else timedelta(microseconds=length)
