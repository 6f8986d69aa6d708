"""Defects that the core meets when it runs its jobs on the driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur, with_outcomes
from stoker.driver import (
    IMMEDIATELY,
    Cancel,
    Changed,
    Complete,
    Enqueued,
    Fail,
    Fired,
    JobKey,
    NewJob,
    Outcome,
    Reaped,
    Release,
    Retry,
    ScheduleBook,
    Settled,
    Settlement,
)
from stoker_sqlite import SqliteDriver


class _Settles(Saboteur):
    """Applies another outcome than it was given."""

    def settled_as(self, outcome: Outcome) -> Outcome:
        return outcome

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        return await super().settle(with_outcomes(items, self.settled_as), now=now)


@saboteur("E2E-01")
class CompletedIsCancelled(_Settles):
    """A completed job is stored as cancelled."""

    def settled_as(self, outcome: Outcome) -> Outcome:
        return Cancel("done") if isinstance(outcome, Complete) else outcome


@saboteur("E2E-02")
class FirstFailureIsFinal(_Settles):
    """A failed attempt is the last one, however many are left."""

    def settled_as(self, outcome: Outcome) -> Outcome:
        return Fail(outcome.error) if isinstance(outcome, Retry) else outcome


@saboteur("E2E-03")
class GivenBackIsFailed(_Settles):
    """A job that is given back counts as a failed attempt."""

    def settled_as(self, outcome: Outcome) -> Outcome:
        return Retry(outcome.when, b"null") if isinstance(outcome, Release) else outcome


@saboteur("E2E-04")
class ReapedIsCancelled(SqliteDriver):
    """A job whose worker is gone is given up."""

    async def reap(
        self,
        queues: Sequence[str],
        *,
        limit: int,
        delay: timedelta,
        error: bytes,
        now: datetime | None = None,
    ) -> list[Reaped]:
        reaped = await super().reap(queues, limit=limit, delay=delay, error=error, now=now)
        keys = [one.lease.token.key for one in reaped]
        await self.cancel(keys, reason="its worker is gone", now=now)
        return reaped


@saboteur("E2E-05")
class CancelForgetsWhy(Saboteur):
    """The reason of a cancel is not what was given."""

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        return await super().cancel(keys, reason="cancelled", now=now)


@saboteur("E2E-06")
class DelaysAreDropped(Saboteur):
    """Every job is for now."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return await super().enqueue([replace(job, run_at=IMMEDIATELY) for job in jobs], now=now)


@saboteur("E2E-07")
class TicksAreEarly(Saboteur):
    """A tick is due a while before its time."""

    async def list_schedules(
        self, queues: Sequence[str], *, now: datetime | None = None
    ) -> ScheduleBook:
        return await super().list_schedules(queues, now=now and now + timedelta(seconds=1))

    async def fire_schedule(
        self,
        queue: str,
        name: str,
        expected_version: int,
        next_at: datetime | None,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> Fired:
        soon = now and now + timedelta(seconds=1)
        return await super().fire_schedule(queue, name, expected_version, next_at, jobs, now=soon)
