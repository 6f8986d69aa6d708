"""Defects of enqueue: what is stored is not what was given, or not once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    At,
    Claimed,
    Enqueued,
    EnqueueStatus,
    JobKey,
    JobRecord,
    JobState,
    NewJob,
    Want,
    resolve,
    to_micros,
)
from stoker.driver.times import from_micros
from stoker.errors import InvalidInput

_INSERTED = Enqueued(EnqueueStatus.INSERTED)


@saboteur("ENQ-02")
class EnqueueUpserts(Saboteur):
    """An id that exists is overwritten."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        answers = await super().enqueue(jobs, now=now)
        for job, answer in zip(jobs, answers, strict=True):
            if answer.status is EnqueueStatus.DUPLICATE_ID:
                await self.remove([job.key])
                await super().enqueue([job], now=now)
        return answers


@saboteur("ORD-05")
class BatchesAreSorted(Saboteur):
    """A batch is stored in the order of its ids."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        order = sorted(range(len(jobs)), key=lambda index: jobs[index].key)
        answers = await super().enqueue([jobs[index] for index in order], now=now)
        answered = dict(zip(order, answers, strict=True))
        return [answered[index] for index in range(len(jobs))]


@saboteur("ENQ-03")
class ConflictAbortsTheRest(Saboteur):
    """The first duplicate ends the batch, and the rest is answered as if it were stored."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        answers: list[Enqueued] = []
        for job in jobs:
            answers += await super().enqueue([job], now=now)
            if answers[-1].status is EnqueueStatus.DUPLICATE_ID:
                break
        return answers + [_INSERTED] * (len(jobs) - len(answers))


@saboteur("ENQ-03")
class LastOfTwoWins(Saboteur):
    """Of two equal ids in a batch the later one is stored."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        last = {job.key: job for job in jobs}
        return await super().enqueue(
            [replace(last[job.key], nonce=job.nonce) for job in jobs], now=now
        )


@saboteur("ENQ-01")
class PayloadIsParsed(Saboteur):
    """The store's own JSON type keeps the payload."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        def parsed(payload: bytes) -> bytes:
            with suppress(ValueError):
                return json.dumps(json.loads(payload)).encode(errors="replace")
            return payload

        jobs = [replace(job, payload=parsed(job.payload)) for job in jobs]
        return await super().enqueue(jobs, now=now)


@saboteur("ENQ-05")
class EmptyBatchIsAnError(Saboteur):
    """`in ()` is a syntax error in many stores."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        if not jobs:
            raise InvalidInput("syntax error near ')'")
        return await super().enqueue(jobs, now=now)


@saboteur("ENQ-06", "ENQ-12")
class ChecksComeLate(Saboteur):
    """A batch is stored one by one until one is refused."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return [(await super(ChecksComeLate, self).enqueue([job], now=now))[0] for job in jobs]


@saboteur("ENQ-08")
class LargeBatchesLoseTheirTail(Saboteur):
    """Only the first 500 parameters reach the store."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        answers = await super().enqueue(jobs[:500], now=now)
        return answers + [_INSERTED] * (len(jobs) - len(answers))


@saboteur("ENQ-09", "HIS-02")
class AcknowledgedTooEarly(Saboteur):
    """An enqueue is answered from a buffer, which is written with the client's next one."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        buffer = self.notes["buffer"]
        buffered = buffer.pop(id(self), [])
        buffer[id(self)] = list(jobs)
        if buffered:
            await super().enqueue(buffered, now=now)
        return [_INSERTED for _ in jobs]


@saboteur("ENQ-10", "ENQ-07")
class NamesAreFolded(Saboteur):
    """A case-insensitive column, as some stores have by default."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        folded = [
            replace(
                job,
                key=JobKey(job.key.queue, job.key.id.casefold()),
                metadata={key: text.strip() for key, text in job.metadata.items()},
                tags=tuple(sorted(job.tags))[:2],
            )
            for job in jobs
        ]
        return await super().enqueue(folded, now=now)


@saboteur("ENQ-11", "HIS-01")
class NonceIgnored(Saboteur):
    """A request that was sent again is a duplicate."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return await super().enqueue([replace(job, nonce="") for job in jobs], now=now)


@saboteur("ENQ-13")
class TwiceIsOnce(Saboteur):
    """A key that is named twice is looked up twice."""

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        records = [(await super(TwiceIsOnce, self).get([key]))[0] for key in keys[:1_000]]
        return records if len(keys) <= 1_000 else await super().get(keys)


@saboteur("DLY-01", "DLY-05")
class TimesLoseTheirFraction(Saboteur):
    """Times are kept as whole seconds."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        def whole(job: NewJob) -> NewJob:
            if now is None:
                return job
            moment = from_micros(resolve(job.run_at, to_micros(now)))
            return replace(job, run_at=At(moment.replace(microsecond=0)))

        return await super().enqueue([whole(job) for job in jobs], now=now)


@saboteur("DLY-04")
class PastTimesStayInThePast(Saboteur):
    """A time before now is kept as it was given."""

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        given = self.notes["given"]
        return [
            replace(record, run_at=given.get(record.key, record.run_at)) if record else None
            for record in await super().get(keys)
        ]

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        answers = await super().enqueue(jobs, now=now)
        for job in jobs:
            if isinstance(job.run_at, At) and now and job.run_at.time < now:
                self.notes["given"][job.key] = job.run_at.time
        return answers


@saboteur("DLY-09")
class TimesLoseTheirZone(Saboteur):
    """An aware datetime is stored by its wall-clock reading."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        def local(job: NewJob) -> NewJob:
            if not isinstance(job.run_at, At) or now is None or job.run_at.time.tzinfo is None:
                return job
            return replace(job, run_at=At(job.run_at.time.replace(tzinfo=now.tzinfo)))

        return await super().enqueue([local(job) for job in jobs], now=now)


@saboteur("INS-06")
class LeavesSomethingBehind(Saboteur):
    """Every job leaves an entry in an index that nobody cleans."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        left = [
            NewJob(JobKey("index", f"{one.token.key.id}-{one.token.epoch}"), "index")
            for one in claimed.leases
        ]
        await super().enqueue(left, now=now)
        return claimed


@saboteur("INS-03")
class StatesMisaligned(Saboteur):
    """States come back in the order of the rows, and missing ones last."""

    async def states(self, keys: Sequence[JobKey]) -> list[JobState | None]:
        answers = await super().states(keys)
        return sorted(answers, key=lambda state: state is None)
