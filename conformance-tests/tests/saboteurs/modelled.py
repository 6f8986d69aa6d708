"""Defects that show when operations that are right by themselves follow each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    Cancel,
    Changed,
    ChangeStatus,
    Claimed,
    Enqueued,
    EnqueueStatus,
    Extended,
    Extension,
    JobKey,
    NewJob,
    Settled,
    Settlement,
    SettleStatus,
    Snooze,
    Want,
    When,
)


@saboteur("HIS-03")
class ReplayTellsTheStateOfNow(Saboteur):
    """A settlement that is sent again answers where the job is now, not where it was led."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = await super().settle(items, now=now)
        for place, answer in enumerate(answers):
            if answer.status is SettleStatus.ALREADY:
                record = await self.record(items[place].token.key)
                answers[place] = replace(answer, state=None if record is None else record.state)
        return answers


@saboteur("HIS-03")
class RescheduleForgetsTheSettlement(Saboteur):
    """Moving a job makes the store forget how its last lease ended."""

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        answers = await super().reschedule(keys, when, now=now)
        moved = zip(keys, answers, strict=True)
        done = {key: True for key, answer in moved if answer.status is ChangeStatus.DONE}
        self.notes["moved"].update(done)
        return answers

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        for leased in claimed.leases:
            self.notes["moved"].pop(leased.token.key, None)
        return claimed

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = await super().settle(items, now=now)
        return [
            Settled(SettleStatus.STALE)
            if answer.status is SettleStatus.ALREADY and item.token.key in self.notes["moved"]
            else answer
            for item, answer in zip(items, answers, strict=True)
        ]


@saboteur("HIS-03")
class EnqueueResumes(Saboteur):
    """An enqueue resumes a queue that was paused."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        answers = await super().enqueue(jobs, now=now)
        for queue in {job.key.queue for job in jobs}:
            await super().pause(queue, False)
        return answers


@saboteur("HIS-03")
class CancelledSnoozesAreNotCounted(Saboteur):
    """A snooze that a requested cancel overrules refunds nothing, and is not counted."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        changed = list(items)
        for place, item in enumerate(items):
            record = await self.record(item.token.key)
            reason = None if record is None else record.cancel_reason
            if isinstance(item.outcome, Snooze) and reason is not None:
                changed[place] = replace(item, outcome=Cancel(reason))
        return await super().settle(changed, now=now)


@saboteur("HIS-03")
class ExtendNeverShortens(Saboteur):
    """An extend leaves an expiry alone that is later than the one it asks for."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        answers: list[Extended] = []
        for item in items:
            record = await self.record(item.token.key)
            longer = lease
            if record is not None and record.expires_at is not None and now is not None:
                longer = max(lease, record.expires_at - now)
            answers += await super().extend([item], lease=longer, now=now)
        return answers


@saboteur("UNQ-09")
class KeysLeftBehindFindNewHolders(Saboteur):
    """A key whose record is gone belongs to the next job that is given the same id."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        answers: list[Enqueued] = []
        for job in jobs:
            place = (job.key.queue, job.unique.key) if job.unique is not None else None
            [answer] = await super().enqueue([job], now=now)
            if place is not None and answer.status is EnqueueStatus.INSERTED:
                self.notes["holders"][place] = job.key
            elif place is not None and answer == Enqueued(EnqueueStatus.UNIQUE_CONFLICT):
                holder: JobKey = self.notes["holders"][place]
                if await self.record(holder) is not None:
                    answer = replace(answer, existing=holder.id)
            answers.append(answer)
        return answers
