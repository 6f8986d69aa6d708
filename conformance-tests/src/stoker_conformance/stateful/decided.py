"""Which batches the contract decides."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from stoker.driver import JobKey, NewJob
from stoker_conformance.model import Hold, World, keys

__all__ = ["is_decided"]


def is_decided(world: World, job: NewJob, batch: Sequence[NewJob], now: datetime) -> bool:
    """Whether the contract says what becomes of `job`, enqueued in one call after `batch`.

    It says who wins of two equal ids, and of two equal keys of new jobs. It does not say what a job
    is to an earlier one of its batch that was not stored, or whose holder it replaces.
    """
    twins = [other for other in batch if other.key == job.key]
    if twins:
        return all(one.unique is None and one.nonce == job.nonce for one in (job, *twins))
    if job.key in {_holder(world, other, now) for other in batch}:
        return False
    if any(_want_one_key(job, other) for other in batch):
        first_is_new = all(other.key not in world.records for other in batch)
        return first_is_new and _hold(world, job, now) is None
    return _holder(world, job, now) not in {other.key for other in batch}


def _want_one_key(one: NewJob, other: NewJob) -> bool:
    if one.unique is None or other.unique is None:
        return False
    return (one.key.queue, one.unique.key) == (other.key.queue, other.unique.key)


def _hold(world: World, job: NewJob, now: datetime) -> Hold | None:
    if job.unique is None:
        return None
    return keys.current(world, job.key.queue, job.unique.key, now)


def _holder(world: World, job: NewJob, now: datetime) -> JobKey | None:
    """Return the job that holds the key of `job`, if its record exists."""
    hold = _hold(world, job, now)
    return None if hold is None or hold.holder is None else JobKey(job.key.queue, hold.holder)
