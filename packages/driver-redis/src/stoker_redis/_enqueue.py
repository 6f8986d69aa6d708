"""Storing jobs: one script for each queue, all in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from stoker.driver import (
    IMMEDIATELY,
    Enqueued,
    EnqueueStatus,
    NewJob,
    OnConflict,
    Until,
)
from stoker_redis._client import Call
from stoker_redis._jobs import pack_job, pack_run
from stoker_redis._scripts import Script
from stoker_redis._store import Store, grouped
from stoker_redis._times import when

__all__ = ["answers", "enqueue", "job_args"]

_ENQUEUE: Final = Script("enqueue")
_ENQUEUE_UNIQUE: Final = Script("enqueue_unique")
_PLAN: Final = Struct("<BqBqB")
_ON_CONFLICT: Final = {OnConflict.KEEP: 0, OnConflict.REPLACE: 1, OnConflict.RESCHEDULE: 2}

_INSERTED: Final = Enqueued(EnqueueStatus.INSERTED)
_DUPLICATE: Final = Enqueued(EnqueueStatus.DUPLICATE_ID)
_WHY: Final = {2: EnqueueStatus.UNIQUE_CONFLICT, 3: EnqueueStatus.RESCHEDULED}


async def enqueue(store: Store, jobs: Sequence[NewJob], now: int | str) -> list[Enqueued]:
    """Store each job at most once, and answer in their order."""
    by_queue = grouped([job.key.queue for job in jobs])
    await store.register(by_queue)
    calls = [
        _call(store, queue, [jobs[at] for at in places], now) for queue, places in by_queue.items()
    ]
    stored = [_INSERTED] * len(jobs)
    replies = await store.run(calls, confirmed=True)
    for places, reply in zip(by_queue.values(), replies, strict=True):
        for at, answer in zip(places, answers(len(places), reply), strict=True):
            stored[at] = answer
    return stored


def _call(store: Store, queue: str, jobs: Sequence[NewJob], now: int | str) -> Call:
    if any(job.unique is not None for job in jobs):
        return store.call(_ENQUEUE_UNIQUE, queue, [now, *job_args(jobs)])
    priorities = sorted({job.priority for job in jobs})
    keys = store.keys(queue)
    return Call(
        _ENQUEUE,
        [*keys.of(_ENQUEUE.keys), *keys.streams(priorities)],
        [now, "".join(map(str, priorities)), *job_args(jobs)],
    )


def job_args(jobs: Sequence[NewJob]) -> list[bytes]:
    """Return new jobs as `lua/lib/enqueue.lua` reads them."""
    args: list[bytes] = []
    for job in jobs:
        packed = pack_job(job)
        args += (job.key.id.encode(), pack_run(job, len(packed)), packed, _plan(job))
    return args


def answers(count: int, reply: Sequence[int | bytes]) -> list[Enqueued]:
    """Return what became of `count` jobs: stored, unless the server says something else."""
    found = [_INSERTED] * count
    for number, why, existing in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
        found[int(number) - 1] = _not_stored(int(why), bytes(existing).decode())
    return found


def _not_stored(why: int, existing: str) -> Enqueued:
    status = _WHY.get(why)
    return _DUPLICATE if status is None else Enqueued(status, existing or None)


def _plan(job: NewJob) -> bytes:
    unique = job.unique
    if unique is None:
        return b"" if job.run_at is IMMEDIATELY else _PLAN.pack(*when(job.run_at), 0, 0, 0)
    until = unique.until
    ends = (0, 0) if isinstance(until, Until) else when(until)
    return _PLAN.pack(*when(job.run_at), *ends, _ON_CONFLICT[unique.on_conflict])
