"""The model of a consumer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta

from stoker.driver import (
    Claimed,
    Extended,
    ExtendStatus,
    Extension,
    JobKey,
    JobRecord,
    JobState,
    Lease,
    Promoted,
    Reaped,
    Token,
    Want,
)
from stoker_conformance.expect import expect, expect_that
from stoker_conformance.model import keys
from stoker_conformance.model.lifecycle import end, newest_errors, newest_logs, wait_until
from stoker_conformance.model.world import World

__all__ = ["claim", "extend", "promote", "reap"]


def claim(
    world: World,
    wants: Sequence[Want],
    worker: str,
    lease: timedelta,
    now: datetime,
    seen: Claimed,
) -> None:
    """Check a claim, and take the jobs that it took."""
    limits = {want.queue: want.limit for want in wants}
    ready = {
        record.key: record
        for record in world.in_state(limits, JobState.READY)
        if record.key.queue not in world.paused and limits[record.key.queue] > 0
    }
    taken = [leased.token.key for leased in seen.leases]
    _expect_choice("claim", taken, ready, limits)
    for key in taken:
        _expect_none_before(world, ready, key, taken)
    issued = {queue: world.epochs[queue] for queue in limits}
    for leased in seen.leases:
        _start(world, leased, worker, now, now + lease, issued[leased.token.key.queue])
    due = [_next_due(world, limits, now)]
    if len(taken) == sum(limits.values()):
        due.append(None)
    expect_that(f"next_due_in of a claim is {due[0]}", seen.next_due_in in due, seen.next_due_in)


def extend(
    world: World, items: Sequence[Extension], lease: timedelta, now: datetime
) -> list[Extended]:
    """Return the answers to an extend; the reason counts only where it is extended."""
    answers: list[Extended] = []
    for item in items:
        record = world.running(item.token)
        if record is None:
            known = item.token.key in world.records
            answers.append(Extended(ExtendStatus.STALE if known else ExtendStatus.GONE))
            continue
        world.records[record.key] = replace(
            record,
            expires_at=now + lease,
            progress=record.progress if item.progress is None else item.progress,
            logs=newest_logs(record, *item.logs),
        )
        answers.append(Extended(ExtendStatus.EXTENDED, record.cancel_reason))
    return answers


def promote(
    world: World,
    queues: Sequence[str],
    limit: int,
    now: datetime,
    seen: Promoted,
    moved: Callable[[JobKey], bool],
) -> None:
    """Check a promote; which jobs it made ready is told by `moved`."""
    due = {
        record.key: record
        for record in world.in_state(queues, JobState.SCHEDULED)
        if record.run_at <= now
    }
    taken = [key for key in due if moved(key)]
    _expect_choice("promote", taken, due, dict.fromkeys(queues, limit))
    expect("how many jobs a promote made ready", seen.count, len(taken))
    for key in taken:
        wait_until(world, due[key], due[key].run_at, now)
    expect("next_due_in of a promote", seen.next_due_in, _next_due(world, queues, now))


def reap(
    world: World,
    queues: Sequence[str],
    limit: int,
    delay: timedelta,
    error: bytes,
    now: datetime,
    seen: Sequence[Reaped],
) -> None:
    """Check a reap, and end the leases that it ended."""
    expired = {
        record.key: record
        for record in world.in_state(queues, JobState.RUNNING)
        if record.expires_at is not None and record.expires_at <= now
    }
    taken = [reaped.lease.token.key for reaped in seen]
    _expect_choice("reap", taken, expired, dict.fromkeys(queues, limit))
    for reaped in seen:
        record = expired[reaped.lease.token.key]
        crashed = replace(record, crashes=record.crashes + 1)
        _expect_lease(f"the reaped lease of {record.key.id!r}", reaped.lease, crashed)
        expect("the worker of a reaped lease", reaped.worker, record.worker)
        state = _crash(world, crashed, now + delay, error, now)
        expect(f"where the reap of {record.key.id!r} leads", reaped.state, state)


def _crash(
    world: World, record: JobRecord, back_at: datetime, error: bytes, now: datetime
) -> JobState:
    """End a run by a reap."""
    world.remembered.pop(record.key, None)
    kept = newest_errors(record, error)
    record = replace(record, attempt=record.attempt - 1, errors=kept)
    if record.crashes > record.max_crashes:
        return end(world, record, JobState.FAILED, now, cancel_reason=None)
    if record.cancel_reason is not None:
        return end(world, record, JobState.CANCELLED, now)
    return wait_until(world, record, back_at, now)


def _start(
    world: World, leased: Lease, worker: str, now: datetime, expires_at: datetime, issued: int
) -> None:
    """Begin the run that a claim has begun."""
    key, epoch = leased.token
    higher = epoch > issued
    expect_that(f"the epoch of {key.id!r} is higher than {issued}", higher, leased.token)
    world.epochs[key.queue] = max(world.epochs[key.queue], epoch)
    record = world.records[key]
    world.records[key] = replace(
        record,
        state=JobState.RUNNING,
        epoch=epoch,
        attempt=record.attempt + 1,
        worker=worker,
        claimed_at=now,
        expires_at=expires_at,
    )
    keys.at_the_claim(world, key)
    world.remembered.pop(key, None)
    world.places.pop(key, None)
    _expect_lease(f"the lease of {key.id!r}", leased, world.records[key])


def _expect_choice(
    what: str,
    taken: Sequence[JobKey],
    choices: Mapping[JobKey, JobRecord],
    limits: Mapping[str, int],
) -> None:
    """Refuse jobs that are no choice, one twice, more than a limit, and none where one is."""
    wrong = [key for key in taken if key not in choices]
    expect(f"jobs that a {what} must not take", wrong, [])
    expect_that(f"a {what} takes no job twice", len(set(taken)) == len(taken), taken)
    for queue, limit in limits.items():
        of_queue = [key for key in taken if key.queue == queue]
        expect_that(f"a {what} takes at most {limit} of a queue", len(of_queue) <= limit, of_queue)
    expect_that(
        f"a {what} takes at least one of the {len(choices)} that it may take",
        bool(taken) or not choices,
        taken,
    )


def _expect_none_before(
    world: World,
    ready: Mapping[JobKey, JobRecord],
    key: JobKey,
    taken: Sequence[JobKey],
) -> None:
    """Refuse a claim that takes a job and leaves one of its queue that comes before it."""
    unplaced = float("inf")
    place = world.places.get(key, -unplaced)
    for other, record in ready.items():
        if other.queue != key.queue or other in taken:
            continue
        passed = record.priority > ready[key].priority or (
            record.priority == ready[key].priority and world.places.get(other, unplaced) < place
        )
        expect_that(f"{other.id!r} is claimed before {key.id!r}", not passed, list(taken))


def _expect_lease(what: str, seen: Lease, record: JobRecord) -> None:
    """Refuse a lease that does not say what the record says."""
    expected = {"token": Token(record.key, record.epoch)}
    for field in fields(seen):
        value = getattr(seen, field.name)
        if field.name == "tags":
            value = tuple(sorted(value))
        elif field.name in ("metadata", "headers"):
            value = dict(value)
        wanted = expected.get(field.name) or getattr(record, field.name)
        expect(f"{field.name} of {what}", value, wanted)


def _next_due(
    world: World, queues: Mapping[str, int] | Sequence[str], now: datetime
) -> timedelta | None:
    times = [record.run_at for record in world.in_state(queues, JobState.SCHEDULED)]
    return max(min(times) - now, timedelta(0)) if times else None
