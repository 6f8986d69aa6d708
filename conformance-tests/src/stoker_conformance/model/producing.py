"""The model of a producer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from stoker.driver import (
    Enqueued,
    EnqueueStatus,
    JobKey,
    JobRecord,
    JobState,
    KeepFor,
    NewJob,
    OnConflict,
    Unique,
    Until,
)
from stoker.job import PENDING_STATES
from stoker_conformance.model import keys
from stoker_conformance.model.administering import move
from stoker_conformance.model.lifecycle import end, wait_until
from stoker_conformance.model.world import Hold, World

__all__ = ["enqueue"]

_INSERTED: Final = Enqueued(EnqueueStatus.INSERTED)


def enqueue(world: World, jobs: Sequence[NewJob], now: datetime) -> list[Enqueued]:
    """Return the answers to an enqueue."""
    batch: set[JobKey] = set()
    inserted: set[JobKey] = set()
    answers: list[Enqueued] = []
    for job in jobs:
        known = job.key in world.records
        answers.append(_enqueue_one(world, job, now, batch, inserted))
        batch.add(job.key)
        if not known and job.key in world.records:
            inserted.add(job.key)
    return answers


def _enqueue_one(
    world: World, job: NewJob, now: datetime, batch: set[JobKey], inserted: set[JobKey]
) -> Enqueued:
    if job.key in world.records:
        sent_again = job.nonce and job.nonce == world.nonces[job.key] and job.key not in batch
        return _INSERTED if sent_again else Enqueued(EnqueueStatus.DUPLICATE_ID)
    if job.unique is not None:
        hold = keys.current(world, job.key.queue, job.unique.key, now)
        if hold is not None:
            lost = _meet(world, job, job.unique, hold, now, inserted)
            if lost is not None:
                return lost
    _insert(world, job, now)
    return _INSERTED


def _meet(
    world: World, job: NewJob, unique: Unique, hold: Hold, now: datetime, inserted: set[JobKey]
) -> Enqueued | None:
    """Return the answer to a job whose key is held; `None` when it has replaced the holder."""
    key = JobKey(job.key.queue, hold.holder or "")
    holder = world.records.get(key)
    fixed = holder is None or holder.state not in PENDING_STATES or key in inserted
    if fixed or unique.on_conflict is OnConflict.KEEP:
        return Enqueued(EnqueueStatus.UNIQUE_CONFLICT, hold.holder)
    assert holder is not None
    if unique.on_conflict is OnConflict.RESCHEDULE:
        move(world, holder, job.run_at, now)
        return Enqueued(EnqueueStatus.RESCHEDULED, hold.holder)
    end(world, holder, JobState.CANCELLED, now, cancel_reason=f"replaced by {job.key.id}")
    return None


def _insert(world: World, job: NewJob, now: datetime) -> None:
    record = _record_of(world, job, now)
    ready = wait_until(world, record, record.run_at, now) is JobState.READY
    if ready:
        world.places[job.key] = max(world.places.values(), default=0) + 1
    world.nonces[job.key] = job.nonce
    if job.unique is not None:
        until = job.unique.until
        end_of_hold = until if isinstance(until, Until) else world.resolve(until, now)
        world.uniques[job.key] = end_of_hold
        keys.take(world, job.key, job.unique.key, end_of_hold)


def _record_of(world: World, job: NewJob, now: datetime) -> JobRecord:
    return JobRecord(
        key=job.key,
        name=job.name,
        state=JobState.SCHEDULED,
        payload=job.payload,
        payload_version=job.payload_version,
        priority=job.priority,
        epoch=0,
        attempt=0,
        max_attempts=job.max_attempts,
        crashes=0,
        max_crashes=job.max_crashes,
        snoozes=0,
        parked_since=None,
        enqueued_at=now,
        run_at=world.resolve(job.run_at, now),
        ready_at=None,
        claimed_at=None,
        expires_at=None,
        finished_at=None,
        expires=None if job.expires is None else world.resolve(job.expires, now),
        timeout=job.timeout,
        keep=job.keep or KeepFor(),
        unique_key=None if job.unique is None else job.unique.key,
        worker=None,
        cancel_reason=None,
        errors=(),
        result=None,
        progress=None,
        logs=(),
        tags=tuple(sorted(set(job.tags))),
        metadata=dict(job.metadata),
        headers=dict(job.headers),
    )
