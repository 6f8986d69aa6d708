"""Defects of requests that are sent again, and of probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    Changed,
    ChangeStatus,
    Enqueued,
    EnqueueStatus,
    JobKey,
    JobState,
    NewJob,
    Retry,
    Settled,
    Settlement,
    SettleStatus,
)
from stoker_sqlite import SqliteDriver


@saboteur("DUR-03", "DUR-04")
class ResendIsADuplicate(Saboteur):
    """An enqueue that is sent again is told that somebody else was first."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        there = await self.get([job.key for job in jobs])
        answers = await super().enqueue(jobs, now=now)
        duplicate = Enqueued(EnqueueStatus.DUPLICATE_ID)
        return [
            duplicate if record is not None else answer
            for record, answer in zip(there, answers, strict=True)
        ]


@saboteur("DUR-03", "DUR-05")
class ErrorsAreKeptAgain(Saboteur):
    """A Retry that is sent again adds its error a second time."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = await super().settle(items, now=now)
        for item, answer in zip(items, answers, strict=True):
            _, job = self._store.find(item.token.key)
            again = answer.status is SettleStatus.ALREADY
            if again and job is not None and isinstance(item.outcome, Retry):
                job.errors = (*job.errors, item.outcome.error)
        return answers


@saboteur("DUR-03")
class CancelledAgain(Saboteur):
    """A cancel of what is cancelled is applied once more, and says so."""

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        answers = await super().cancel(keys, reason=reason, now=now)
        return [
            replace(answer, status=ChangeStatus.DONE)
            if answer.state is JobState.CANCELLED
            else answer
            for answer in answers
        ]


@saboteur("TXN-07")
class KindsAreNotCompared(SqliteDriver):
    """Any settlement of a lease that was settled is taken for the same one, sent again."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = await super().settle(items, now=now)
        records = await self.get([item.token.key for item in items])
        return [
            Settled(SettleStatus.ALREADY, record.state)
            if answer.status is SettleStatus.STALE
            and record is not None
            and record.epoch == item.token.epoch
            else answer
            for item, answer, record in zip(items, answers, records, strict=True)
        ]
