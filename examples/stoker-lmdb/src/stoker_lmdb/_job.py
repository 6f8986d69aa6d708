"""A job as it is stored, and what the core gets to see of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Final, Self

from stoker.driver import JobRecord, KeepFor, Lease, NewJob, from_micros, resolve
from stoker.job import DEFAULT_PRIORITY, TERMINAL_STATES, JobKey, JobState, Token

_ERRORS_KEPT: Final = 10


def micros(length: timedelta) -> int:
    """Return a length of time in microseconds."""
    return length // timedelta(microseconds=1)


@dataclass
class Job:
    """All of a job but its payload. Times are microseconds since 1970, lengths microseconds.

    Fields are named as those of `JobRecord`, so that one is made of the other.
    """

    key: JobKey
    name: str
    payload_version: int
    max_attempts: int
    max_crashes: int
    enqueued_at: int
    run_at: int
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
        keep = {state: getattr(job.keep, state, None) for state in TERMINAL_STATES}
        return cls(
            key=job.key,
            name=job.name,
            payload_version=job.payload_version,
            max_attempts=job.max_attempts,
            max_crashes=job.max_crashes,
            enqueued_at=now,
            run_at=resolve(job.run_at, now),
            expires=None if job.expires is None else resolve(job.expires, now),
            timeout=None if job.timeout is None else micros(job.timeout),
            keep={state: micros(age) for state, age in keep.items() if age is not None},
            tags=sorted(set(job.tags)),
            metadata=dict(job.metadata),
            headers=dict(job.headers),
            nonce=job.nonce,
        )

    @classmethod
    def loads(cls, key: JobKey, data: bytes) -> Self:
        """Return the job that `dumps` made `data` of."""
        job = cls(key, **json.loads(data))
        job.state = JobState(job.state)
        return job

    def dumps(self) -> bytes:
        """Return the job as JSON, without the key under which it is found."""
        return json.dumps({name: it for name, it in vars(self).items() if name != "key"}).encode()

    @property
    def place(self) -> str:
        """Where the job's number is: ended jobs that say how long they are kept are apart."""
        return f"kept {self.state}" if self.state in self.keep else self.state

    def holds(self, token: Token) -> bool:
        """Whether `token` is valid: of the lease that runs. Its expiry does not matter."""
        return self.state is JobState.RUNNING and self.epoch == token.epoch

    def add_error(self, error: bytes) -> None:
        """Keep an error, and forget the oldest one beyond the limit."""
        self.errors = [*self.errors, error.decode(errors="surrogateescape")][-_ERRORS_KEPT:]

    def record(self, payload: bytes) -> JobRecord:
        """Return the job as an inspector sees it; what this driver has not is `None`."""
        seen: dict[str, Any] = {it.name: getattr(self, it.name, None) for it in fields(JobRecord)}
        seen["expires_at"] = self.number if self.state is JobState.RUNNING else None
        for name in (*(name for name in seen if name.endswith("_at")), "expires", "parked_since"):
            seen[name] = None if seen[name] is None else from_micros(seen[name])
        seen["timeout"] = None if self.timeout is None else timedelta(microseconds=self.timeout)
        seen["keep"] = KeepFor(
            **{state: timedelta(microseconds=age) for state, age in self.keep.items()}
        )
        seen["errors"] = tuple(error.encode(errors="surrogateescape") for error in self.errors)
        seen["tags"], seen["logs"] = tuple(self.tags), ()
        seen["payload"], seen["priority"] = payload, DEFAULT_PRIORITY
        return JobRecord(**seen)

    def lease(self, payload: bytes) -> Lease:
        """Return the lease of a running job."""
        record = self.record(payload)
        same = {it.name: getattr(record, it.name) for it in fields(Lease) if it.name != "token"}
        return Lease(token=Token(self.key, self.epoch), **same)
