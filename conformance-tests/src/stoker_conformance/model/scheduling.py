"""The model of the capability `schedule`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from stoker.driver import At, Fired, FireStatus, NewJob, Schedule, When
from stoker_conformance.expect import expect, expect_that
from stoker_conformance.model.producing import enqueue
from stoker_conformance.model.world import World

__all__ = ["check_fire", "check_put", "listed", "remove"]


def check_put(
    world: World,
    queue: str,
    name: str,
    definition: bytes,
    next_at: When,
    now: datetime,
    seen: Schedule,
) -> None:
    """Check the row that a put answers."""
    old = world.schedules.get((queue, name))
    if old is not None and old.definition == definition:
        expect("the row after a put of the same definition", seen, _as_of(old, now))
        return
    row = Schedule(
        queue=queue,
        name=name,
        definition=definition,
        next_at=world.resolve(next_at, now, keep_past=True),
        last_at=None if old is None else old.last_at,
        count=0 if old is None else old.count,
        version=0,
        due_in=None,
    )
    _follow(world, row, now, seen, "a put")


def check_fire(
    world: World,
    queue: str,
    name: str,
    expected_version: int,
    next_at: datetime | None,
    jobs: Sequence[NewJob],
    now: datetime,
    seen: Fired,
) -> None:
    """Check the answer to a fire."""
    row = world.schedules.get((queue, name))
    status = _status(row, expected_version, now)
    expect("the status of a fire", seen.status, status)
    expect("the store's now", seen.now, now)
    if row is None or status is not FireStatus.FIRED:
        expect("the jobs of a fire that does not fire", seen.enqueued, [])
        expect("the row of a fire that does not fire", seen.schedule, row and _as_of(row, now))
        return
    expect("the answers to the jobs of a fire", seen.enqueued, enqueue(world, jobs, now))
    tick = None if next_at is None else world.resolve(At(next_at), now, keep_past=True)
    fired = replace(row, last_at=row.next_at, next_at=tick, count=row.count + 1)
    _follow(world, fired, now, seen.schedule, "a fire")


def listed(world: World, queues: Sequence[str], now: datetime) -> list[Schedule]:
    """Return the schedules of these queues, as a list has them."""
    places = sorted(place for place in world.schedules if place[0] in queues)
    return [_as_of(world.schedules[place], now) for place in places]


def remove(world: World, queue: str, name: str) -> bool:
    """Return the answer to a removal."""
    return world.schedules.pop((queue, name), None) is not None


def _status(row: Schedule | None, expected_version: int, now: datetime) -> FireStatus:
    if row is None:
        return FireStatus.GONE
    if row.version != expected_version:
        return FireStatus.CONFLICT
    if row.next_at is None or row.next_at > now:
        return FireStatus.NOT_DUE
    return FireStatus.FIRED


def _follow(world: World, row: Schedule, now: datetime, seen: Schedule | None, what: str) -> None:
    """Take over the version that a driver gave to a row that changed."""
    place = (row.queue, row.name)
    version = seen.version if seen is not None else 0
    higher = version > world.versions[place]
    expect_that(f"the version after {what} is one that the name never had", higher, seen)
    world.versions[place] = version
    world.schedules[place] = replace(row, version=version)
    expect(f"the row after {what}", seen, _as_of(world.schedules[place], now))


def _as_of(row: Schedule, now: datetime) -> Schedule:
    due_in = None if row.next_at is None else max(row.next_at - now, timedelta(0))
    return replace(row, due_in=due_in)
