"""Jobs as bytes, and back.

What the server holds of a job is two strings. The *job* is written once: its name, its payload, and
what only few have, as JSON. The *run* changes with every step; `lua/lib/run.lua` has the same
layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple

from stoker.driver import JobRecord, KeepFor, Lease, NewJob, Until
from stoker.job import JobKey, JobState, Token
from stoker_redis._times import (
    AT,
    NONE,
    instant,
    instant_or_none,
    micros,
    span_or_none,
    when,
)

__all__ = ["STATES", "lease", "pack_job", "pack_run", "record", "worker_of"]

STATES: Final = (
    JobState.SCHEDULED,
    JobState.READY,
    JobState.RUNNING,
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.CANCELLED,
)
"""By their number in a run."""

_RUN: Final = Struct("<4BHI5q5B7I6q")
_JOB: Final = Struct("<HII")
_FOREVER: Final = -1
"""A job that does not say how long its record is kept."""
_NOTHING_KEPT: Final = KeepFor()
_LASTING: Final = {Until.FINISH: 1, Until.START: 2}
_FOR_A_TIME: Final = 3
_NEWEST_ERRORS: Final = 10
_NEWEST_LOGS: Final = 100

_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_parse: Final = json.JSONDecoder().raw_decode


class _Run(NamedTuple):
    """A run, in the order of its bytes; times in microseconds."""

    state: int
    settled_as: int
    settled_to: int
    holds: int
    tail_at: int
    attempt: int
    epoch: int
    claimed_at: int
    expires_at: int
    finished_at: int
    parked_since: int
    lasting: int
    priority: int
    has_result: int
    has_progress: int
    has_reason: int
    max_attempts: int
    crashes: int
    max_crashes: int
    snoozes: int
    errors: int
    logs: int
    size: int
    enqueued_at: int
    run_at: int
    ready_at: int
    keep_completed: int
    keep_failed: int
    keep_cancelled: int


def pack_job(job: NewJob) -> bytes:
    """Return what never changes of a job."""
    name = job.name.encode()
    options = _pack_options(job)
    return b"".join(
        (_JOB.pack(len(name), len(options), job.payload_version), name, options, job.payload)
    )


def pack_run(job: NewJob, size: int) -> bytes:
    """Return the run of a new job, whose packed job has `size` bytes; the server adds the times."""
    keep, unique = job.keep, job.unique
    if keep is None:
        keep = _NOTHING_KEPT
    key, lasting = "", 0
    if unique is not None:
        until = unique.until
        key = unique.key
        lasting = _LASTING[until] if isinstance(until, Until) else _FOR_A_TIME
    texts = b"\0%b\0%b\0" % (key.encode(), job.nonce.encode())  # no reason, key, nonce
    head = _new_run(
        _RUN.size + 1 + len(texts),
        lasting,
        job.priority,
        job.max_attempts,
        job.max_crashes,
        size,
        keep.completed,
        keep.failed,
        keep.cancelled,
    )
    return b"%b%b\0\0" % (head, texts)  # no place, no worker


@lru_cache(maxsize=1_024)
def _new_run(
    tail_at: int,
    lasting: int,
    priority: int,
    max_attempts: int,
    max_crashes: int,
    size: int,
    *keep: timedelta | None,
) -> bytes:
    ages = [_FOREVER if age is None else micros(age) for age in keep]
    return _RUN.pack(
        *(0, 0, 0, 0, tail_at, 0, 0, NONE, NONE, NONE, NONE),
        *(lasting, priority, 0, 0, 0),
        *(max_attempts, 0, max_crashes, 0, 0, 0, size),
        *(0, 0, NONE),
        *ages,
    )


def lease(queue: str, id_: bytes, run: bytes, job: bytes) -> Lease:
    """Return the lease of a job that was claimed."""
    # By position, which costs less than names: every job passes here.
    (
        _,
        _,
        _,
        _,
        _,
        attempt,
        epoch,
        claimed_at,
        expires_at,
        _,
        parked_since,
        _,
        priority,
        _,
        _,
        _,
        max_attempts,
        crashes,
        _,
        snoozes,
        _,
        _,
        _,
        enqueued_at,
        run_at,
        *_,
    ) = _RUN.unpack_from(run)
    name_size, options_size, version = _JOB.unpack_from(job)
    options_at = _JOB.size + name_size
    payload_at = options_at + options_size
    options = _parse(job[options_at:payload_at].decode())[0] if options_size else _NO_OPTIONS
    return Lease(
        Token(JobKey(queue, id_.decode()), epoch),
        _name(job[_JOB.size : options_at]),
        job[payload_at:],
        version,
        priority,
        attempt,
        max_attempts,
        crashes,
        snoozes,
        None if parked_since == NONE else instant(parked_since),
        instant(enqueued_at),
        instant(run_at),
        instant(claimed_at),
        instant(expires_at),
        _expires(options, enqueued_at),
        span_or_none(options.get("timeout", _FOREVER)),
        tuple(options.get("tags", ())),
        options.get("metadata") or {},
        options.get("headers") or {},
    )


def record(queue: str, id_: str, run: bytes, job: bytes, reports: Sequence[bytes]) -> JobRecord:
    """Return the record of a job, with what its runs have left behind."""
    now = _Run._make(_RUN.unpack_from(run))
    reason, key, _, _, worker, _ = run[_RUN.size :].decode().split("\0")
    name_size, options_size, version = _JOB.unpack_from(job)
    options_at = _JOB.size + name_size
    payload_at = options_at + options_size
    options = _parse(job[options_at:payload_at].decode())[0] if options_size else _NO_OPTIONS
    errors_at = now.has_result + now.has_progress
    logs_at = errors_at + min(now.errors, _NEWEST_ERRORS)
    state = STATES[now.state]
    return JobRecord(
        key=JobKey(queue, id_),
        name=_name(job[_JOB.size : options_at]),
        state=state,
        payload=job[payload_at:],
        payload_version=version,
        priority=now.priority,
        epoch=now.epoch,
        attempt=now.attempt,
        max_attempts=now.max_attempts,
        crashes=now.crashes,
        max_crashes=now.max_crashes,
        snoozes=now.snoozes,
        parked_since=instant_or_none(now.parked_since),
        enqueued_at=instant(now.enqueued_at),
        run_at=instant(now.run_at),
        ready_at=instant_or_none(now.ready_at),
        claimed_at=instant_or_none(now.claimed_at),
        expires_at=instant(now.expires_at) if state is JobState.RUNNING else None,
        finished_at=instant_or_none(now.finished_at),
        expires=_expires(options, now.enqueued_at),
        timeout=span_or_none(options.get("timeout", _FOREVER)),
        keep=_keep(now),
        unique_key=key or None,
        worker=worker or None,
        cancel_reason=reason if now.has_reason else None,
        errors=tuple(reports[errors_at:logs_at]),
        result=reports[0] if now.has_result else None,
        progress=reports[now.has_result] if now.has_progress else None,
        logs=tuple(reports[logs_at:]),
        tags=tuple(options.get("tags", ())),
        metadata=options.get("metadata") or {},
        headers=options.get("headers") or {},
    )


def worker_of(run: bytes) -> str:
    """Return the worker of a job's last lease."""
    return run[_RUN.size :].split(b"\0")[4].decode()


_NO_OPTIONS: Final[Mapping[str, Any]] = {}


def _pack_options(job: NewJob) -> bytes:
    """Return what few jobs have. The names `tags` and `metadata` are known to `search.lua`."""
    options: dict[str, Any] = {}
    if job.expires is not None:
        options["expires"] = when(job.expires)
    if job.timeout is not None:
        options["timeout"] = micros(job.timeout)
    if job.tags:
        options["tags"] = list(dict.fromkeys(job.tags))
    if job.metadata:
        options["metadata"] = dict(job.metadata)
    if job.headers:
        options["headers"] = dict(job.headers)
    return _json(options).encode() if options else b""


@lru_cache(maxsize=1_024)
def _name(name: bytes) -> str:
    return name.decode()


def _expires(options: Mapping[str, Any], enqueued_at: int) -> datetime | None:
    """Return when a job expires, which was resolved when it was enqueued."""
    expires = options.get("expires")
    if expires is None:
        return None
    kind, number = expires
    return instant(max(enqueued_at, number) if kind == AT else enqueued_at + number)


def _keep(now: _Run) -> KeepFor:
    if now.keep_completed < 0 and now.keep_failed < 0 and now.keep_cancelled < 0:
        return _NOTHING_KEPT
    return KeepFor(
        span_or_none(now.keep_completed),
        span_or_none(now.keep_failed),
        span_or_none(now.keep_cancelled),
    )
