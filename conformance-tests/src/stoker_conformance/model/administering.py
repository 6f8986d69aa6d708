"""The model of an administrator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from stoker.driver import (
    Changed,
    ChangeStatus,
    JobKey,
    JobRecord,
    JobState,
    Keep,
    Retention,
    Until,
    When,
)
from stoker.job import PENDING_STATES
from stoker_conformance.expect import expect, expect_that
from stoker_conformance.model import keys
from stoker_conformance.model.lifecycle import delete, end, forget, wait_until
from stoker_conformance.model.world import World

__all__ = ["cancel", "move", "purge", "remove", "reschedule", "retry"]


def cancel(world: World, names: Sequence[JobKey], reason: str, now: datetime) -> list[Changed]:
    """Return the answers to a cancel."""

    def change(record: JobRecord) -> Changed:
        if record.state in PENDING_STATES:
            end(world, record, JobState.CANCELLED, now, cancel_reason=reason)
            return Changed(ChangeStatus.DONE, JobState.CANCELLED)
        if record.state is JobState.RUNNING:
            first = reason if record.cancel_reason is None else record.cancel_reason
            world.records[record.key] = replace(record, cancel_reason=first)
            return Changed(ChangeStatus.REQUESTED, JobState.RUNNING)
        return Changed(ChangeStatus.NOT_APPLICABLE, record.state)

    return _each(world, names, change)


def retry(world: World, names: Sequence[JobKey], now: datetime) -> list[Changed]:
    """Return the answers to a manual retry."""

    def change(record: JobRecord) -> Changed:
        if record.state not in (JobState.FAILED, JobState.CANCELLED):
            return Changed(ChangeStatus.NOT_APPLICABLE, record.state)
        until = world.uniques.get(record.key)
        if record.unique_key is not None and isinstance(until, Until):
            hold = keys.current(world, record.key.queue, record.unique_key, now)
            if hold is not None:
                return Changed(ChangeStatus.UNIQUE_CONFLICT, existing=hold.holder)
            keys.take(world, record.key, record.unique_key, until)
        world.remembered.pop(record.key, None)
        fresh = replace(record, attempt=0, crashes=0, snoozes=0, cancel_reason=None)
        fresh = replace(fresh, result=None, progress=None, parked_since=None, finished_at=None)
        return Changed(ChangeStatus.DONE, wait_until(world, fresh, now, now))

    return _each(world, names, change)


def reschedule(world: World, names: Sequence[JobKey], when: When, now: datetime) -> list[Changed]:
    """Return the answers to a reschedule."""

    def change(record: JobRecord) -> Changed:
        if record.state not in PENDING_STATES:
            return Changed(ChangeStatus.NOT_APPLICABLE, record.state)
        return Changed(ChangeStatus.DONE, move(world, record, when, now))

    return _each(world, names, change)


def move(world: World, record: JobRecord, when: When, now: datetime) -> JobState:
    """Move a pending job; a ready one that stays ready keeps its place."""
    moment = world.resolve(when, now)
    if record.state is JobState.READY and moment <= now:
        world.records[record.key] = replace(record, run_at=moment)
        world.leave_open(record.key, "ready_at", record.ready_at, now)
        return JobState.READY
    return wait_until(world, record, moment, now)


def remove(world: World, names: Sequence[JobKey]) -> list[Changed]:
    """Return the answers to a remove."""

    def change(record: JobRecord) -> Changed:
        delete(world, record.key)
        return Changed(ChangeStatus.DONE)

    return _each(world, names, change)


def purge(
    world: World,
    queue: str,
    policy: Retention,
    limit: int,
    now: datetime,
    seen: int,
    left: Callable[[JobKey], bool],
) -> None:
    """Check the number that a purge deleted; which they were is told by `left`."""
    rules = {
        JobState.COMPLETED: policy.completed,
        JobState.FAILED: policy.failed,
        JobState.CANCELLED: policy.cancelled,
    }
    due = [
        record.key
        for state, keep in rules.items()
        for record in _not_kept(world.in_state([queue], state), keep, now)
    ]
    expect("how many records a purge deleted", seen, min(limit, len(due)))
    gone = [key for key in due if not left(key)]
    expect_that("as many are gone as the purge says", len(gone) == seen, (seen, gone))
    for key in gone:
        forget(world, key)


def _not_kept(records: Sequence[JobRecord], keep: Keep, now: datetime) -> list[JobRecord]:
    """Return the records of one terminal state that a purge may delete."""
    theirs = [record for record in records if _own_age(record) is not None]
    ours = [record for record in records if _own_age(record) is None]
    ours.sort(key=lambda record: (_age(record, now), _reversed(record.key.id)))
    too_old = [
        record for record in ours if keep.max_age is not None and _age(record, now) > keep.max_age
    ]
    too_many = ours[keep.newest :] if keep.newest is not None else []
    return [
        *(record for record in theirs if _age(record, now) >= (_own_age(record) or timedelta(0))),
        *(record for record in ours if record in too_old or record in too_many),
    ]


def _age(record: JobRecord, now: datetime) -> timedelta:
    return now - (record.finished_at or now)


def _own_age(record: JobRecord) -> timedelta | None:
    """Return how long the job itself says that it is kept in its state."""
    age: timedelta | None = getattr(record.keep, record.state)
    return age


def _reversed(text: str) -> list[int]:
    """Return a key that sorts texts in the reverse of the order of their bytes."""
    return [-byte for byte in text.encode()] + [1]


def _each(
    world: World, names: Sequence[JobKey], change: Callable[[JobRecord], Changed]
) -> list[Changed]:
    """Change each record by itself; where there is none, the answer is GONE."""
    answers = []
    for key in names:
        record = world.records.get(key)
        answers.append(Changed(ChangeStatus.GONE) if record is None else change(record))
    return answers
