"""Defects of unique keys, results, wake-ups and presence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    At,
    Changed,
    Enqueued,
    EnqueueStatus,
    Extended,
    Extension,
    Fail,
    JobKey,
    JobRecord,
    JobState,
    NewJob,
    OnConflict,
    Reaped,
    Settled,
    Settlement,
    SettleStatus,
    Unique,
    Until,
    Wake,
    WorkerPresence,
)


class _Keys(Saboteur):
    """Says for each new job what key it takes."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        keyed = [replace(job, unique=self.key(job.unique)) if job.unique else job for job in jobs]
        return await super().enqueue(keyed, now=now)

    def key(self, unique: Unique) -> Unique | None:
        raise NotImplementedError


@saboteur("UNQ-01", "HIS-03")
class FinishKeysEndAtTheClaim(_Keys):
    """FINISH is taken for START."""

    def key(self, unique: Unique) -> Unique:
        return replace(unique, until=Until.START) if unique.until is Until.FINISH else unique


@saboteur("UNQ-03")
class StartKeysEndAtTheEnd(_Keys):
    """START is taken for FINISH."""

    def key(self, unique: Unique) -> Unique:
        return replace(unique, until=Until.FINISH) if unique.until is Until.START else unique


@saboteur("UNQ-04", "UNQ-09")
class WindowsEndWithTheJob(_Keys):
    """A window is over when its job is."""

    def key(self, unique: Unique) -> Unique:
        return unique if isinstance(unique.until, Until) else replace(unique, until=Until.FINISH)


@saboteur("UNQ-04")
class WindowsByTheServersClock(_Keys):
    """A window is left to a time-to-live: over already, or never, for the given now."""

    def key(self, unique: Unique) -> Unique:
        return replace(unique, until=unique.until if isinstance(unique.until, Until) else _TTL)


_TTL = At(datetime(2001, 1, 1, tzinfo=UTC))


@saboteur("UNQ-05")
class ReplaceIsKeep(_Keys):
    """A pending holder is never replaced."""

    def key(self, unique: Unique) -> Unique:
        keep = OnConflict.KEEP
        return replace(unique, on_conflict=keep) if unique.on_conflict is not keep else unique


@saboteur("UNQ-07")
class KeysAreFolded(_Keys):
    """Keys are compared without case."""

    def key(self, unique: Unique) -> Unique:
        return replace(unique, key=unique.key.casefold())


@saboteur("UNQ-02")
class KeyLeaksAfterAFailure(Saboteur):
    """Only a success frees the key."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = []
        for item in items:
            record = await self.record(item.token.key)
            [answer] = await super().settle([item], now=now)
            applied = answer.status is SettleStatus.APPLIED
            if applied and isinstance(item.outcome, Fail) and record and record.unique_key:
                self.notes["leaked"][record.unique_key] = record.key.id
            answers.append(answer)
        return answers

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        leaked = self.notes["leaked"]
        for job in jobs:
            if job.unique and job.unique.key in leaked:
                holder = leaked[job.unique.key]
                return [Enqueued(EnqueueStatus.UNIQUE_CONFLICT, holder) for _ in jobs]
        return await super().enqueue(jobs, now=now)


@saboteur("UNQ-01")
class KeyFreedByReap(Saboteur):
    """A job whose worker died has lost its key."""

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
        self.notes["freed"] |= {one.lease.token.key.id: True for one in reaped}
        return reaped

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        answers = await super().enqueue(jobs, now=now)
        for number, answer in enumerate(answers):
            if answer.existing in self.notes["freed"]:
                free = replace(jobs[number], unique=None)
                answers[number : number + 1] = await super().enqueue([free], now=now)
        return answers


@saboteur("UNQ-06", "HIS-01")
class KeysRace(Saboteur):
    """A producer looks for a holder, and then inserts."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        seen = dict(self.notes["keys"])
        await asyncio.sleep(0)
        answers = []
        for job in jobs:
            if job.unique and job.unique.key in seen:
                holder = seen[job.unique.key]
                answers.append(Enqueued(EnqueueStatus.UNIQUE_CONFLICT, holder))
            else:
                if job.unique:
                    self.notes["keys"][job.unique.key] = job.key.id
                answers += await super().enqueue([replace(job, unique=None)], now=now)
        return answers


@saboteur("UNQ-08")
class ManualRetryTakesNoKey(Saboteur):
    """A manual retry comes back without its key."""

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        answers = await super().retry(keys, now=now)
        return [Changed(answer.status.DONE, JobState.READY) for answer in answers]


@saboteur("UNQ-08")
class LastOfACallGetsTheKey(Saboteur):
    """A call of several manual retries is worked off from its end."""

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        return (await super().retry(keys[::-1], now=now))[::-1]


@saboteur("RES-01", "RES-02")
class ResultIsText(Saboteur):
    """A result is trimmed on its way, and its `null` is nothing."""

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        return [
            replace(record, result=(record.result or b"").strip() or None, progress=None)
            if record
            else None
            for record in await super().get(keys)
        ]


@saboteur("RES-02")
class DeadTokensReport(Saboteur):
    """Logs are kept beside the job, whoever sends them."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        for item in items:
            current = await self.current(item.token)
            report = replace(item, token=current)
            await super().extend([report], lease=lease, now=now)
            self.notes["logs"].setdefault(item.token.key, []).extend(item.logs)
        return await super().extend([Extension(i.token) for i in items], lease=lease, now=now)

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        logs = self.notes["logs"]
        return [
            replace(record, logs=tuple(logs.get(record.key, record.logs))) if record else None
            for record in await super().get(keys)
        ]


@saboteur("RES-03")
class LogsKeepTheOldest(Saboteur):
    """The list of logs is full after a hundred, and the newest are lost."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        for item in items:
            self.notes["logs"].setdefault(item.token.key, []).extend(item.logs)
        return await super().extend(items, lease=lease, now=now)

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        logs = self.notes["logs"]
        return [
            replace(record, logs=tuple(logs.get(record.key, record.logs)[:100])) if record else None
            for record in await super().get(keys)
        ]


@saboteur("RTY-09")
class ManualRetryDropsTheLogs(Saboteur):
    """What a job logged before a manual retry is lost."""

    async def retry(self, keys: Sequence[JobKey], *, now: datetime | None = None) -> list[Changed]:
        self.notes["silent"] |= dict.fromkeys(keys, True)
        return await super().retry(keys, now=now)

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        silent = self.notes["silent"]
        return [
            replace(record, logs=()) if record and record.key in silent else record
            for record in await super().get(keys)
        ]


@saboteur("WAK-05")
class HintsAreNotLatched(Saboteur):
    """A wait begins by forgetting what came before it."""

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        known = self.notes[f"known to {id(self)}"]
        if known.keys() >= set(queues):
            await super().wait(queues, timedelta(0))
        known |= dict.fromkeys(queues, True)
        return await super().wait(queues, timeout)


@saboteur("WAK-01")
class HintsOfDelayedJobsAreMissing(Saboteur):
    """A delayed job is stored without a word."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        answers = await super().enqueue(jobs, now=now)
        states = await self.states([job.key for job in jobs])
        if JobState.SCHEDULED in states:
            self.notes["unheard"] = dict.fromkeys(range(3), True)
        return answers

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        wake = await super().wait(queues, timeout)
        if wake and self.notes["unheard"]:
            self.notes["unheard"].popitem()
            return Wake.NOTHING
        return wake


@saboteur("WAK-06")
class CancelsAreNoHints(Saboteur):
    """The cancel of a running job wakes nobody."""

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        return await super().wait(queues, timeout) & Wake.WORK


@saboteur("PRS-02")
class WorkersNeverExpire(Saboteur):
    """A worker that was killed is listed for ever."""

    async def workers(self, *, now: datetime | None = None) -> list[WorkerPresence]:
        return await super().workers(now=_TTL.time)


@saboteur("PRS-01")
class AnnouncementsAddUp(Saboteur):
    """A worker that announces itself twice works for the queues of both."""

    async def announce(
        self,
        worker: str,
        queues: Sequence[str],
        ttl: timedelta,
        info: bytes,
        *,
        now: datetime | None = None,
    ) -> None:
        known = self.notes["queues"].setdefault(worker, [])
        known.extend(queue for queue in queues if queue not in known)
        await super().announce(worker, known, ttl, info, now=now)


@saboteur("UNQ-10")
class ExpiredKeysStay(Saboteur):
    """A purge deletes records, and no keys."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        used = [
            NewJob(JobKey("keys", job.unique.key), "key")
            for job in jobs
            if job.unique and not isinstance(job.unique.until, Until)
        ]
        await super().enqueue(used, now=now)
        return await super().enqueue(jobs, now=now)
