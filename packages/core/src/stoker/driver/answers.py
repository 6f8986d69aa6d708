"""What the operations ask and answer, beyond leases and settlements."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

from stoker._value import value
from stoker.driver.jobs import Lease
from stoker.job import JobState

__all__ = [
    "ChangeStatus",
    "Changed",
    "Claimed",
    "EnqueueStatus",
    "Enqueued",
    "Promoted",
    "Reaped",
    "Want",
]


class EnqueueStatus(Enum):
    """What became of one job of an enqueue."""

    INSERTED = "inserted"
    """Stored; or, with the same nonce, it had been stored by an earlier send of this request."""
    DUPLICATE_ID = "duplicate_id"
    """The id exists in this queue; the existing job is untouched in every field."""
    UNIQUE_CONFLICT = "unique_conflict"
    """Another job holds the unique key; nothing was inserted."""
    RESCHEDULED = "rescheduled"
    """The pending holder of the unique key was moved; nothing was inserted."""


@value
class Enqueued:
    """The answer to one `NewJob`."""

    status: EnqueueStatus
    existing: str | None = None
    """With `UNIQUE_CONFLICT` and `RESCHEDULED`: the id of the holder, if its record exists."""


@value
class Want:
    """How many jobs of one queue a claim may take; 0 is legal and takes none."""

    queue: str
    limit: int


@value
class Claimed:
    """The answer to a claim."""

    leases: list[Lease]
    next_due_in: timedelta | None
    """Time to the earliest scheduled job of the queues asked, paused ones too; zero while a due
    job waits for a promote, `None` when nothing is scheduled. A claim that gave all it was asked
    for may answer `None` in any case, and spare itself the look."""


@value
class Promoted:
    """The answer to a promote."""

    count: int
    next_due_in: timedelta | None
    """As in `Claimed`, after this promote."""


@value
class Reaped:
    """One lease that a reap ended."""

    lease: Lease
    """The lease as it was when it ended: `crashes` is counted up already, the attempt is not yet
    refunded."""
    worker: str
    """The worker that held it."""
    state: JobState
    """Where the job went: ready, scheduled, failed or cancelled."""


class ChangeStatus(Enum):
    """What became of one key of a `cancel`, `retry`, `reschedule` or `remove`."""

    DONE = "done"
    REQUESTED = "requested"
    """The job runs: its worker learns of the cancel at its next extend."""
    NOT_APPLICABLE = "not_applicable"
    """Not in this state; no effect."""
    GONE = "gone"
    """There is no record."""
    UNIQUE_CONFLICT = "unique_conflict"
    """A retry would take back a unique key that another job holds; no effect."""
    BUSY = "busy"
    """Another transaction holds the record: no effect, ask again."""


@value
class Changed:
    """The answer to one key of an administrative operation."""

    status: ChangeStatus
    state: JobState | None = None
    """With `DONE` the state it led to (`None` after remove), with `NOT_APPLICABLE` and
    `REQUESTED` the state it is in."""
    existing: str | None = None
    """With `UNIQUE_CONFLICT`: the id of the holder, if its record exists."""
