"""The steps between states that several operations share."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from stoker.driver import JobKey, JobRecord, JobState
from stoker_conformance.model import keys
from stoker_conformance.model.world import World

__all__ = ["delete", "end", "forget", "newest_errors", "newest_logs", "wait_until"]

_MOST_ERRORS: Final = 10
_MOST_LOGS: Final = 100


def wait_until(
    world: World, record: JobRecord, moment: datetime, now: datetime, **changes: Any
) -> JobState:
    """Make a job pending: ready at once when `moment` is not after `now`, else scheduled."""
    state = JobState.READY if moment <= now else JobState.SCHEDULED
    if state is JobState.READY:
        changes["ready_at"] = now
    # Only an enqueue gives a place; of jobs that come back, none is specified.
    world.places.pop(record.key, None)
    world.records[record.key] = replace(
        record, state=state, run_at=moment, expires_at=None, **changes
    )
    return state


def end(
    world: World, record: JobRecord, state: JobState, now: datetime, **changes: Any
) -> JobState:
    """Make a job terminal; its record goes in the same step when the job says so."""
    keys.at_the_end(world, record.key)
    world.places.pop(record.key, None)
    world.records[record.key] = replace(
        record, state=state, finished_at=now, expires_at=None, **changes
    )
    if getattr(record.keep, state) == timedelta(0):
        forget(world, record.key)
    return state


def forget(world: World, key: JobKey) -> None:
    """Delete a record that goes by itself: not kept, or purged."""
    keys.left_behind(world, key)
    _drop(world, key)


def delete(world: World, key: JobKey) -> None:
    """Delete a record because somebody said so."""
    keys.at_the_removal(world, key)
    _drop(world, key)


def newest_errors(record: JobRecord, error: bytes) -> tuple[bytes, ...]:
    """Return the errors that a record keeps after one more."""
    return (*record.errors, error)[-_MOST_ERRORS:]


def newest_logs(record: JobRecord, *entries: bytes) -> tuple[bytes, ...]:
    """Return the log entries that a record keeps after some more."""
    return (*record.logs, *entries)[-_MOST_LOGS:]


def _drop(world: World, key: JobKey) -> None:
    del world.records[key]
    for notes in (world.nonces, world.uniques, world.remembered, world.places):
        notes.pop(key, None)
    world.open = {place: values for place, values in world.open.items() if place[0] != key}
