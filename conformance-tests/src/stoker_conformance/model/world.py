"""What a store has to remember."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from stoker.driver import (
    JobKey,
    JobRecord,
    JobState,
    Outcome,
    Schedule,
    Token,
    Until,
    When,
    from_micros,
    resolve,
    to_micros,
)
from stoker_conformance.expect import expect_that, expect_unchanged

__all__ = ["Hold", "World"]


@dataclass(slots=True)
class Hold:
    """Who holds a unique key, and for how long."""

    holder: str | None
    """The id of the job; `None` when its record went by itself and the key stayed."""
    until: Until | datetime


@dataclass
class World:
    """Everything that the contract lets a caller find out, now or later."""

    precision: int = 1
    """Times are rounded up to a multiple of so many microseconds."""
    records: dict[JobKey, JobRecord] = field(default_factory=dict)
    nonces: dict[JobKey, str] = field(default_factory=dict)
    uniques: dict[JobKey, Until | datetime] = field(default_factory=dict)
    """How long a job's unique key is held, for jobs that were enqueued with one."""
    remembered: dict[JobKey, tuple[type[Outcome], JobState]] = field(default_factory=dict)
    """The kind of settlement that ended the last lease of a job, and where it led."""
    places: dict[JobKey, int] = field(default_factory=dict)
    """Of ready jobs whose place among the others is fixed: those that an enqueue made ready."""
    holds: dict[tuple[str, str], Hold] = field(default_factory=dict)
    """The unique keys that are held, by queue and key. One with a time may have expired."""
    paused: set[str] = field(default_factory=set)
    epochs: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """The highest epoch that was issued in a queue."""
    schedules: dict[tuple[str, str], Schedule] = field(default_factory=dict)
    versions: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """The highest version that a schedule of this queue and name ever had."""
    open: dict[tuple[JobKey, str], tuple[object, ...]] = field(default_factory=dict)
    """Fields of records that the contract leaves open, and the values that they may have."""

    def resolve(self, when: When, now: datetime, *, keep_past: bool = False) -> datetime:
        """Return when `when` is, for an operation at `now`."""
        moment = resolve(when, to_micros(now), self.precision, keep_past=keep_past)
        return from_micros(moment)

    def in_state(self, queues: Iterable[str], *states: JobState) -> list[JobRecord]:
        """Return the records of these queues that are in one of these states."""
        named = set(queues)
        return [
            record
            for record in self.records.values()
            if record.key.queue in named and record.state in states
        ]

    def running(self, token: Token) -> JobRecord | None:
        """Return the record of the run that a valid token stands for."""
        record = self.records.get(token.key)
        if record is None or record.state is not JobState.RUNNING or record.epoch != token.epoch:
            return None
        return record

    def leave_open(self, key: JobKey, name: str, *values: object) -> None:
        """Note that a field of a record may have any of these values."""
        self.open[key, name] = values

    def compare(self, key: JobKey, seen: JobRecord | None) -> None:
        """Refuse a record that is not as the contract wants it; learn what it leaves open."""
        expected = self.records.get(key)
        if expected is None:
            expect_that(f"there is no record of {key.id!r}", seen is None, seen)
            return
        if seen is not None:
            seen = _normal(seen)
            for (owner, name), values in list(self.open.items()):
                if owner == key and getattr(seen, name) in values:
                    expected = replace(expected, **{name: getattr(seen, name)})
        expect_unchanged(f"the record of {key.id!r}", seen, expected)
        self.records[key] = expected
        self.open = {place: values for place, values in self.open.items() if place[0] != key}


def _normal(record: JobRecord) -> JobRecord:
    """Return `record` without what does not count: the order of tags, the types of mappings."""
    return replace(
        record,
        tags=tuple(sorted(record.tags)),
        metadata=dict(record.metadata),
        headers=dict(record.headers),
    )
