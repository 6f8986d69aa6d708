"""Looking at a queue, and cleaning it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta

from stoker._value import value
from stoker.driver.jobs import JobRecord
from stoker.job import JobState

__all__ = ["JobQuery", "Keep", "Page", "QueueStats", "Retention"]


@value
class JobQuery:
    """Which jobs a search returns: all that match every filter given."""

    states: frozenset[JobState] | None = None
    names: frozenset[str] | None = None
    ids: frozenset[str] | None = None
    tags: frozenset[str] = frozenset()
    """The job has all of these."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """The job has all of these, with equal values."""
    enqueued_from: datetime | None = None
    """Enqueued at this time or later."""
    enqueued_to: datetime | None = None
    """Enqueued before this time."""
    newest_first: bool = False
    limit: int = 100
    """At most this many records a page, 1 to 1,000."""


@value
class Page:
    """Some of the records of a search.

    A page may be short or even empty while `cursor` says that there is more: filters run in
    bounded steps, so that no search holds the store for long.
    """

    records: list[JobRecord]
    cursor: str | None
    """Where to go on; `None` at the end. Opaque, and good for this query only."""


@value
class QueueStats:
    """How full a queue is, as of one moment."""

    counts: Mapping[JobState, int]
    """Every state is present. Exact up to the `cap` asked for; `RUNNING` always is."""
    at_least: frozenset[JobState]
    """The states whose count stopped at the cap: there may be more."""
    oldest_ready: timedelta | None
    """How long the job has been ready that has been so longest, whatever its priority; `None`
    when none is."""
    paused: bool


@value
class Keep:
    """Which terminal records of one state survive a purge; a record must satisfy both.

    Neither is negative.
    """

    max_age: timedelta | None = None
    """Not older than this since they ended (exactly as old is kept); `None`: however old."""
    newest: int | None = None
    """Only the newest so many of the queue, by the time they ended and then by id; `None`:
    however many."""


@value
class Retention:
    """What a purge keeps of a queue, by terminal state.

    Records whose job says itself how long it is kept (`KeepFor`) are purged by that age alone and
    are not counted among the newest.
    """

    completed: Keep = field(default_factory=Keep)
    failed: Keep = field(default_factory=Keep)
    cancelled: Keep = field(default_factory=Keep)
