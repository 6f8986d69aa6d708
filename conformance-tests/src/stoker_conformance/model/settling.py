"""The model of a consumer that ends its leases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from stoker.driver import (
    Cancel,
    Complete,
    Fail,
    JobRecord,
    JobState,
    Outcome,
    Release,
    Retry,
    Settled,
    Settlement,
    SettleStatus,
    Snooze,
)
from stoker_conformance.model.lifecycle import end, newest_errors, newest_logs, wait_until
from stoker_conformance.model.world import World

__all__ = ["settle"]


def settle(world: World, items: Sequence[Settlement], now: datetime) -> list[Settled]:
    """Return the answers to a settle."""
    return [_settle_one(world, item, now) for item in items]


def _settle_one(world: World, item: Settlement, now: datetime) -> Settled:
    record = world.running(item.token)
    if record is None:
        return _too_late(world, item)
    record = replace(
        record,
        progress=record.progress if item.progress is None else item.progress,
        logs=newest_logs(record, *item.logs),
        parked_since=_parked_since(record, item, now),
    )
    state = _apply(world, record, item.outcome, now)
    if record.key in world.records:
        world.remembered[record.key] = type(item.outcome), state
    return Settled(SettleStatus.APPLIED, state)


def _too_late(world: World, item: Settlement) -> Settled:
    """Return the answer to a token that is not valid any more."""
    record = world.records.get(item.token.key)
    if record is None:
        return Settled(SettleStatus.GONE)
    kind, state = world.remembered.get(item.token.key, (None, None))
    if item.token.epoch == record.epoch and kind is type(item.outcome):
        return Settled(SettleStatus.ALREADY, state)
    return Settled(SettleStatus.STALE)


def _parked_since(record: JobRecord, item: Settlement, now: datetime) -> datetime | None:
    if isinstance(item.outcome, Release) and item.outcome.parked:
        return record.parked_since or now
    return None


def _apply(world: World, record: JobRecord, outcome: Outcome, now: datetime) -> JobState:
    """Do what an outcome asks for; return where it led."""
    match outcome:
        case Complete(result):
            return end(world, record, JobState.COMPLETED, now, result=result, cancel_reason=None)
        case Fail(error):
            kept = newest_errors(record, error)
            return end(world, record, JobState.FAILED, now, errors=kept, cancel_reason=None)
        case Cancel(reason):
            return end(world, record, JobState.CANCELLED, now, cancel_reason=reason)
        case _:
            return _let_go(world, record, outcome, now)


def _let_go(
    world: World, record: JobRecord, outcome: Retry | Release | Snooze, now: datetime
) -> JobState:
    """End a run whose job may come back."""
    if isinstance(outcome, Retry):
        record = replace(record, errors=newest_errors(record, outcome.error))
    else:
        record = replace(record, attempt=record.attempt - 1)
    if isinstance(outcome, Snooze):
        record = replace(record, snoozes=record.snoozes + 1)
    if record.cancel_reason is not None:
        return end(world, record, JobState.CANCELLED, now)
    if isinstance(outcome, Retry) and record.attempt >= record.max_attempts:
        return end(world, record, JobState.FAILED, now)
    return wait_until(world, record, world.resolve(outcome.when, now), now)
