"""A job on its way into the store, on its way to a worker, and as the store remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import Enum

from stoker._value import value
from stoker.driver.times import IMMEDIATELY, After, At, When
from stoker.job import DEFAULT_PRIORITY, TERMINAL_STATES, JobKey, JobState, Token

__all__ = [
    "JobRecord",
    "KeepFor",
    "Lease",
    "NewJob",
    "OnConflict",
    "Unique",
    "Until",
]


class Until(Enum):
    """How long a unique key is held, unless a time is given."""

    FINISH = "finish"
    """Until the job is terminal, whatever made it so; kept through every way back to pending."""
    START = "start"
    """Until the job is claimed; not taken again when the job comes back."""


class OnConflict(Enum):
    """What an enqueue does when another job holds its unique key."""

    KEEP = "keep"
    """Leave the holder as it is; nothing is inserted."""
    REPLACE = "replace"
    """Cancel a pending holder, with the reason `replaced by <id>`, and insert the new job, in one
    step."""
    RESCHEDULE = "reschedule"
    """Move a pending holder to the new job's `run_at`; nothing is inserted."""


def _no_entries() -> dict[str, str]:
    # To call `dict[str, str]` itself takes ten times as long.
    return {}


@value
class Unique:
    """A key that at most one job of a queue holds at any `now`, under any race.

    With a time as `until` the key is held until then, even when its job has long ended. A holder
    that is running, terminal (only a time keeps a key that long), or locked by another
    transaction is never replaced or rescheduled: that is a conflict, and so is a holder that
    comes in the same batch. `remove` frees the keys of the job it removes; a record that goes by
    itself (not kept, or purged) leaves a key until a time behind, without a record to name.
    Expiry is compared with the operation's `now`, never left to a time-to-live of the server.
    """

    key: str
    until: Until | After | At = Until.FINISH
    on_conflict: OnConflict = OnConflict.KEEP


@value
class KeepFor:
    """How long this job's record outlives its end, by the state it ends in.

    `None`: the queue's `Retention` decides when the record is purged. Zero: the record is removed
    in the very step that ends the job (the fast path). Any other time: the record is purged when
    it is that old, and the queue's `Retention` does not count it.
    """

    completed: timedelta | None = None
    failed: timedelta | None = None
    cancelled: timedelta | None = None


@value
class NewJob:
    """A job to store.

    Every text here (queue, id, name, unique key, tag, metadata key) is 1 to 255 bytes of UTF-8
    without control characters and is compared as bytes; values of `metadata` and `headers` are
    up to 4,096 bytes. `payload` is UTF-8 JSON text, opaque to the driver, and comes back
    byte-identical.
    """

    key: JobKey
    name: str
    """The job's full name, `namespace.job`."""
    payload: bytes = b"null"
    payload_version: int = 1
    """0 to 1,000,000."""
    run_at: When = IMMEDIATELY
    priority: int = DEFAULT_PRIORITY
    """0 to 9; 9 runs first. Other than 4 needs the capability `priority`."""
    max_attempts: int = 1
    """1 to 1,000,000."""
    max_crashes: int = 5
    """How many reaped leases the job survives: it fails when `crashes` is greater. 0 to
    1,000,000."""
    expires: When | None = None
    """Do not start after this; resolved at enqueue, judged by the core when it claims."""
    timeout: timedelta | None = None
    """How long one run may take; judged by the core."""
    keep: KeepFor | None = None
    """`None` is the same as `KeepFor()`."""
    unique: Unique | None = None
    """Needs the capability `unique`."""
    tags: tuple[str, ...] = ()
    """A set of at most 100: the order is not kept, equal ones count once."""
    metadata: Mapping[str, str] = field(default_factory=_no_entries)
    """At most 100 entries, as are headers."""
    headers: Mapping[str, str] = field(default_factory=_no_entries)
    """Trace context, and what the core notes for itself."""
    nonce: str = ""
    """Names the request: the same id with the same nonce, if it is not empty, is the same
    request sent again."""


@value
class Lease:
    """A claimed job: all that a worker needs to run it, until `expires_at` or longer.

    `attempt` counts this run (1 to `max_attempts`); `crashes` counts the leases of this job that
    were reaped, `snoozes` its snoozes.
    """

    token: Token
    name: str
    payload: bytes
    payload_version: int
    priority: int
    attempt: int
    max_attempts: int
    crashes: int
    snoozes: int
    parked_since: datetime | None
    """Set by the first `Release(parked=True)`, cleared by every other settlement."""
    enqueued_at: datetime
    run_at: datetime
    claimed_at: datetime
    expires_at: datetime
    """When the lease becomes eligible for reap; until it is reaped, it stays valid."""
    expires: datetime | None
    timeout: timedelta | None
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    headers: Mapping[str, str]


@value
class JobRecord:
    """A job as the store remembers it."""

    key: JobKey
    name: str
    state: JobState
    payload: bytes
    payload_version: int
    priority: int
    epoch: int
    """Of its last lease; 0 before the first."""
    attempt: int
    max_attempts: int
    crashes: int
    max_crashes: int
    snoozes: int
    parked_since: datetime | None
    enqueued_at: datetime
    run_at: datetime
    ready_at: datetime | None
    """When it last became ready; `None` before."""
    claimed_at: datetime | None
    """When its last lease began; `None` before the first."""
    expires_at: datetime | None
    """When its lease expires; `None` unless it is running."""
    finished_at: datetime | None
    """When it became terminal; `None` unless it is."""
    expires: datetime | None
    timeout: timedelta | None
    keep: KeepFor
    unique_key: str | None
    """The key it was enqueued with, whether or not it still holds it."""
    worker: str | None
    """The worker of its last lease."""
    cancel_reason: str | None
    """Not `None`: it was cancelled, or, while it runs, a cancel was requested."""
    errors: tuple[bytes, ...]
    """The newest 10, oldest first; JSON text of at most 8 KiB each."""
    result: bytes | None
    progress: bytes | None
    logs: tuple[bytes, ...]
    """The newest 100, oldest first."""
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended: completed, failed or cancelled."""
        return self.state in TERMINAL_STATES
