"""What a store holds: queues, workers and schedules, as of one moment."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from stoker import Capability, JobState, QueueStats
from stoker.driver import Driver, Presence, Schedule, Schedules, WorkerPresence

__all__ = ["Queue", "Recurring", "Running", "Snapshot", "Store", "take"]

CAP = 10_000
"""Counts are exact up to this many; counting further costs the store too much."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class Store(_Row):
    """Which store it is."""

    driver: str
    version: str
    scope: str


class Queue(_Row):
    """One queue and how full it is."""

    name: str
    paused: bool
    counts: dict[JobState, int]
    at_least: list[JobState]
    """The states of which there may be more than counted."""
    oldest_ready_seconds: float | None

    @classmethod
    def of(cls, name: str, stats: QueueStats) -> Queue:
        """Return the row of a queue."""
        oldest = stats.oldest_ready
        return cls(
            name=name,
            paused=stats.paused,
            counts={state: stats.counts[state] for state in JobState},
            at_least=sorted(stats.at_least),
            oldest_ready_seconds=None if oldest is None else oldest.total_seconds(),
        )


class Running(_Row):
    """One worker that is alive."""

    id: str
    host: str
    pid: int | None
    concurrency: int | None
    queues: list[str]
    since: datetime

    @classmethod
    def of(cls, presence: WorkerPresence, queues: list[str]) -> Running:
        """Return the row of a worker; what it says of itself may come from another version."""
        info: dict[str, Any] = json.loads(presence.info)
        return cls(
            id=presence.worker,
            host=str(info.get("host", "")),
            pid=info.get("pid"),
            concurrency=info.get("concurrency"),
            queues=queues,
            since=presence.since,
        )


class Recurring(_Row):
    """One schedule."""

    queue: str
    job: str
    rule: str
    next_at: datetime | None
    last_at: datetime | None
    count: int

    @classmethod
    def of(cls, schedule: Schedule, queue: str) -> Recurring:
        """Return the row of a schedule."""
        return cls(
            queue=queue,
            job=schedule.name,
            rule=_rule(schedule.definition),
            next_at=schedule.next_at,
            last_at=schedule.last_at,
            count=schedule.count,
        )


class Snapshot(_Row):
    """All of it; `None` stands for what the driver cannot tell."""

    store: Store
    queues: list[Queue]
    workers: list[Running] | None
    schedules: list[Recurring] | None


async def take(driver: Driver, prefix: str, now: datetime | None) -> Snapshot:
    """Look at the queues of an open driver whose names begin with `prefix`, which is left out.

    Raises:
        DriverError: if the store does not answer.
    """
    info = driver.info
    full = sorted(name for name in await driver.queues() if name.startswith(prefix))
    stats = await driver.stats(full, cap=CAP, now=now) if full else {}
    return Snapshot(
        store=Store(driver=info.name, version=info.version, scope=info.scope),
        queues=[Queue.of(name.removeprefix(prefix), stats[name]) for name in full],
        workers=await _workers(driver, prefix, now),
        schedules=await _schedules(driver, full, prefix, now),
    )


async def _workers(driver: Driver, prefix: str, now: datetime | None) -> list[Running] | None:
    if Capability.PRESENCE not in driver.info.capabilities:
        return None
    rows = []
    for presence in await cast("Presence", driver).workers(now=now):
        queues = [name for name in presence.queues if name.startswith(prefix)]
        if queues:
            rows.append(Running.of(presence, [name.removeprefix(prefix) for name in queues]))
    return rows


async def _schedules(
    driver: Driver, queues: list[str], prefix: str, now: datetime | None
) -> list[Recurring] | None:
    if Capability.SCHEDULE not in driver.info.capabilities:
        return None
    if not queues:
        return []
    book = await cast("Schedules", driver).list_schedules(queues, now=now)
    return [Recurring.of(found, found.queue.removeprefix(prefix)) for found in book.schedules]


def _rule(definition: bytes) -> str:
    """The definition of a schedule as a person reads it; one of a later version as it stands."""
    match json.loads(definition):
        case {"cron": str(expression), "tz": str(zone)}:
            return f"{expression} ({zone})"
        case {"every": int(seconds) | float(seconds)}:
            return f"every {seconds:g} s"
        case other:
            return json.dumps(other)
