"""Defects of inspection, of changes by hand, and of cleaning up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    Changed,
    ChangeStatus,
    Claimed,
    Enqueued,
    JobKey,
    JobQuery,
    JobState,
    Keep,
    NewJob,
    Page,
    QueueStats,
    Retention,
    Want,
    When,
)


@saboteur("INS-01", "INS-05", "HIS-01")
class StatsDrift(Saboteur):
    """Ready jobs are counted up by enqueue and down by claim, and by nothing else."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        for job in jobs:
            self.count(job.key.queue, 1)
        return await super().enqueue(jobs, now=now)

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        for one in claimed.leases:
            self.count(one.token.key.queue, -1)
        return claimed

    async def stats(
        self, queues: Sequence[str], *, cap: int = 10_000, now: datetime | None = None
    ) -> dict[str, QueueStats]:
        answer = await super().stats(queues, cap=cap, now=now)
        ready = self.notes["ready"]
        return {
            queue: replace(one, counts={**one.counts, JobState.READY: ready.get(queue, 0)})
            for queue, one in answer.items()
        }

    def count(self, queue: str, step: int) -> None:
        self.notes["ready"][queue] = self.notes["ready"].get(queue, 0) + step


@saboteur("INS-02")
class PurgeEatsActiveJobs(Saboteur):
    """A purge deletes by age, whatever the state."""

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        old = await self.everything(queue, JobState.READY, JobState.SCHEDULED)
        await self.remove([record.key for record in old[:limit]])
        return await super().purge(queue, policy, limit=limit, now=now)


@saboteur("INS-02", "HIS-03")
class PurgeIgnoresNumbers(Saboteur):
    """A purge goes by age alone."""

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        by_age = Retention(
            Keep(policy.completed.max_age),
            Keep(policy.failed.max_age),
            Keep(policy.cancelled.max_age),
        )
        return await super().purge(queue, by_age, limit=limit, now=now)


@saboteur("INS-11")
class PurgeHasNoLimit(Saboteur):
    """A purge deletes everything at once, and stops the store for as long."""

    async def purge(
        self, queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        return min(limit, await super().purge(queue, policy, limit=1_000, now=now))


@saboteur("INS-09")
class KeepIgnored(Saboteur):
    """Jobs cannot say how long they are kept."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return await super().enqueue([replace(job, keep=None) for job in jobs], now=now)


@saboteur("INS-04")
class PagesByOffset(Saboteur):
    """A cursor is a number of records, which inserts and deletes move."""

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        start = int(cursor) if cursor and cursor.isdigit() else 0
        everything = await super().search(queue, replace(query, limit=1_000))
        records = everything.records[start : start + query.limit]
        end = start + query.limit
        return Page(records, str(end) if end < len(everything.records) else None)


@saboteur("INS-07")
class TagsMatchAny(Saboteur):
    """A search finds jobs that have one of the tags."""

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        page = await super().search(queue, replace(query, tags=frozenset()), cursor)
        wanted = query.tags
        records = [r for r in page.records if not wanted or wanted & set(r.tags)]
        return Page(records, page.cursor)


@saboteur("INS-07")
class TimesAreInclusive(Saboteur):
    """`enqueued_to` takes in what was enqueued at that very time."""

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        if query.enqueued_to is not None:
            query = replace(query, enqueued_to=query.enqueued_to + timedelta(microseconds=1))
        return await super().search(queue, query, cursor)


@saboteur("INS-08")
class OnlyBusyQueuesAreListed(Saboteur):
    """A queue that is paused and empty, or holds only records, is forgotten."""

    async def queues(self) -> list[str]:
        listed = await super().queues()
        busy = await self.stats(listed)
        active = (JobState.SCHEDULED, JobState.READY, JobState.RUNNING)
        return [q for q in listed if any(busy[q].counts[state] for state in active)]


@saboteur("INS-10")
class CursorsCrash(Saboteur):
    """A cursor is trusted."""

    async def search(self, queue: str, query: JobQuery, cursor: str | None = None) -> Page:
        if cursor is not None:
            int(cursor)
        return await super().search(queue, query, cursor)


@saboteur("ADM-01")
class RescheduleLosesItsPlace(Saboteur):
    """A ready job that is moved to now goes to the end."""

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        for key in keys:
            record = await self.record(key)
            if record is not None and record.state is JobState.READY:
                await self.put_back(record, now)
        return await super().reschedule(keys, when, now=now)


@saboteur("ADM-02")
class RescheduleWakesTheDead(Saboteur):
    """A job that has ended is moved as well."""

    async def reschedule(
        self, keys: Sequence[JobKey], when: When, *, now: datetime | None = None
    ) -> list[Changed]:
        await self.retry(keys, now=now)
        return await super().reschedule(keys, when, now=now)


@saboteur("ADM-03")
class RunningJobsCannotBeRemoved(Saboteur):
    """A remove leaves what runs alone."""

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        answers = []
        for key in keys:
            record = await self.record(key)
            if record is not None and record.state is JobState.RUNNING:
                answers.append(Changed(ChangeStatus.NOT_APPLICABLE, JobState.RUNNING))
            else:
                answers += await super().remove([key])
        return answers


@saboteur("CAN-01")
class CancelledJobsComeBack(Saboteur):
    """A cancel takes a job out of the ready ones only."""

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        answers = []
        for key in keys:
            if (await self.states([key]))[0] is JobState.SCHEDULED:
                answers.append(Changed(ChangeStatus.DONE, JobState.CANCELLED))
            else:
                answers += await super().cancel([key], reason=reason, now=now)
        return answers


@saboteur("RTY-06", "CAN-07")
class ManualRetryClearsNothing(Saboteur):
    """A manual retry is a change of state."""

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        for key in keys:
            record = await self.record(key)
            if record is not None:
                self.notes["before"][key] = record
        return await super().retry(keys, now=now)

    async def get(self, keys):  # type: ignore[no-untyped-def]
        before = self.notes["before"]
        return [
            replace(
                record,
                crashes=before[record.key].crashes,
                cancel_reason=before[record.key].cancel_reason,
            )
            if record and record.key in before
            else record
            for record in await super().get(keys)
        ]

    async def extend(self, items, *, lease, now=None):  # type: ignore[no-untyped-def]
        before = self.notes["before"]
        answers = await super().extend(items, lease=lease, now=now)
        return [
            replace(answer, cancel_reason=before[item.token.key].cancel_reason)
            if item.token.key in before
            else answer
            for item, answer in zip(items, answers, strict=True)
        ]


@saboteur("RTY-07")
class ManualRetryOfAnything(Saboteur):
    """A completed job can be run again."""

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        answers = await super().retry(keys, now=now)
        for number, key in enumerate(keys):
            record = await self.record(key)
            if record is not None and record.state is JobState.COMPLETED:
                await self.put_back(record, now)
                answers[number] = Changed(ChangeStatus.DONE, JobState.READY)
        return answers
