"""Defects of claim, pause and promote, and of the order of jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    IMMEDIATELY,
    Changed,
    Claimed,
    Enqueued,
    Extended,
    Extension,
    JobKey,
    JobState,
    Lease,
    NewJob,
    Promoted,
    Release,
    Settled,
    Settlement,
    SettleStatus,
    Token,
    Want,
)


@saboteur("DLY-01")
class ClaimTakesDueJobs(Saboteur):
    """A claim takes what is due, without a promote."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        await self.promote([want.queue for want in wants], limit=1_000, now=now)
        return await super().claim(wants, worker=worker, lease=lease, now=now)


@saboteur("LSE-01", "HIS-01")
class ClaimTakesOver(Saboteur):
    """A claim takes over leases that have expired."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        zero, queues = timedelta(0), [want.queue for want in wants]
        await self.reap(queues, limit=1_000, delay=zero, error=b'""', now=now)
        return await super().claim(wants, worker=worker, lease=lease, now=now)


@saboteur("CLM-01", "CLM-04", "ENQ-08", "HIS-01")
class ClaimOverfetches(Saboteur):
    """A claim takes more than it returns."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        more = [replace(want, limit=want.limit * 2) for want in wants]
        claimed = await super().claim(more, worker=worker, lease=lease, now=now)
        leases: list[Lease] = []
        for want in wants:
            of_queue = [one for one in claimed.leases if one.token.key.queue == want.queue]
            leases += of_queue[: want.limit]
        return replace(claimed, leases=leases)


@saboteur("CLM-02", "ENQ-07")
class QueuesMatchByPrefix(Saboteur):
    """A claim of `mail` takes the jobs of `mail2` as well."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        for want in wants:
            left = want.limit - len(claimed.leases)
            for queue in await self.queues():
                if queue.startswith(want.queue) and queue != want.queue and left > 0:
                    more = await super().claim(
                        [Want(queue, left)], worker=worker, lease=lease, now=now
                    )
                    claimed.leases.extend(more.leases)
                    left -= len(more.leases)
        return claimed


@saboteur("CLM-03", "HIS-01")
class PauseIgnored(Saboteur):
    """A pause is noted, and nothing else."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        stats = await self.stats([want.queue for want in wants], now=now)
        paused = [queue for queue, of_queue in stats.items() if of_queue.paused]
        for queue in paused:
            await super().pause(queue, False)
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        for queue in paused:
            await super().pause(queue, True)
        return claimed


@saboteur("CLM-04")
class ClaimsRace(Saboteur):
    """A claim reads, and then writes: who comes in between gets the same job."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        under_way = self.notes["under way"]
        seen = list(under_way.values())
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        if claimed.leases:
            under_way[id(claimed)] = claimed.leases[0]
            await asyncio.sleep(0)
            del under_way[id(claimed)]
        room = wants[0].limit - len(claimed.leases) if wants else 0
        return replace(claimed, leases=[*claimed.leases, *seen[:room]])


@saboteur("CLM-05", "RTY-01")
class AttemptNotCounted(Saboteur):
    """Every attempt is the first."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        return replace(claimed, leases=[replace(one, attempt=1) for one in claimed.leases])


@saboteur("LSE-01")
class PopOnClaim(Saboteur):
    """A job is deleted when it is handed out: a lost worker takes it along."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        await self.remove([one.token.key for one in claimed.leases])
        return claimed


class _OwnEpochs(Saboteur):
    """Issues epochs of its own, and translates them."""

    def epoch_of(self, lease: Lease) -> int:
        raise NotImplementedError

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        leases = []
        for one in claimed.leases:
            token = Token(one.token.key, self.epoch_of(one))
            self.notes["tokens"][token] = one.token
            leases.append(replace(one, token=token))
        return replace(claimed, leases=leases)

    def strict(self, token: Token) -> Token:
        return self.notes["tokens"].get(token, token._replace(epoch=0))  # type: ignore[no-any-return]

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        items = [replace(item, token=self.strict(item.token)) for item in items]
        return await super().settle(items, now=now)

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        items = [replace(item, token=self.strict(item.token)) for item in items]
        return await super().extend(items, lease=lease, now=now)


@saboteur("FNC-01", "FNC-02", "FNC-03", "FNC-10", "CLM-05")
class EpochIsTheAttempt(_OwnEpochs):
    """The attempt serves as the epoch; but attempts are refunded."""

    def epoch_of(self, lease: Lease) -> int:
        return lease.attempt


@saboteur("FNC-10")
class EpochRestarts(_OwnEpochs):
    """The epoch is counted in the job's row, and goes with it."""

    def epoch_of(self, lease: Lease) -> int:
        epochs = self.notes["epochs"]
        epoch: int = epochs.get(lease.token.key, 0) + 1
        epochs[lease.token.key] = epoch
        return epoch

    async def remove(self, keys: Sequence[JobKey]) -> list[Changed]:
        for key in keys:
            self.notes["epochs"].pop(key, None)
        return await super().remove(keys)


@saboteur("ORD-01", "ORD-02")
class LastInFirstOut(Saboteur):
    """A claim takes the newest jobs."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        everything = [replace(want, limit=1_000) for want in wants if want.limit]
        claimed = await super().claim(everything, worker=worker, lease=lease, now=now)
        newest = sorted(claimed.leases, key=lambda one: one.enqueued_at, reverse=True)
        limit = sum(want.limit for want in wants)
        back = [Settlement(one.token, Release(IMMEDIATELY)) for one in newest[limit:]]
        await super().settle(list(reversed(back)), now=now)
        return replace(claimed, leases=newest[:limit])


@saboteur("ORD-03", "ORD-04")
class PriorityReversed(Saboteur):
    """The lowest number runs first."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        reverse = [replace(job, priority=max(0, min(9, 8 - job.priority))) for job in jobs]
        return await super().enqueue(reverse, now=now)


@saboteur("ORD-03", "ORD-04", "HIS-01")
class PriorityIgnored(Saboteur):
    """All jobs are equal."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        return await super().enqueue([replace(job, priority=4) for job in jobs], now=now)


@saboteur("ORD-04")
class PriorityOnlyThreeLevels(Saboteur):
    """Low, normal and high are all that the index knows."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        levels = [replace(job, priority=job.priority // 4 * 4) for job in jobs]
        return await super().enqueue(levels, now=now)


@saboteur("DLY-08")
class HeadOfLine(Saboteur):
    """A claim looks at the oldest job only, and stops when that is not ready."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        free = []
        for want in wants:
            waiting = await self.everything(want.queue, JobState.SCHEDULED, JobState.READY)
            blocked = bool(waiting) and waiting[0].state is JobState.SCHEDULED
            free.append(replace(want, limit=0) if blocked else want)
        return await super().claim(free, worker=worker, lease=lease, now=now)


@saboteur("DLY-06")
class NextDueForgetsPausedQueues(Saboteur):
    """A promote tells nobody when the next job is due."""

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        promoted = await super().promote(queues, limit=limit, now=now)
        stats = await self.stats(queues, now=now)
        paused = any(of_queue.paused for of_queue in stats.values())
        return replace(promoted, next_due_in=None) if paused else promoted


@saboteur("DLY-02")
class PromoteDropsBeyondItsLimit(Saboteur):
    """All due jobs leave the index, and only the first few are made ready."""

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        promoted = await super().promote(queues, limit=limit, now=now)
        for queue in queues:
            left = await self.everything(queue, JobState.SCHEDULED)
            lost = [record.key for record in left if now and record.run_at <= now]
            await self.remove(lost)
        return promoted


@saboteur("DLY-03", "HIS-01")
class PromoteResurrects(Saboteur):
    """A promote looks at the time, and not at the state."""

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        for queue in queues:
            ended = await self.everything(queue, JobState.CANCELLED)
            await self.retry([r.key for r in ended if now and r.run_at <= now], now=now)
        return await super().promote(queues, limit=limit, now=now)


@saboteur("DLY-01", "DLY-09", "LSE-01")
class WallClock(Saboteur):
    """The given now is ignored where jobs become due."""

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        return await super().promote(queues, limit=limit, now=datetime.now(UTC))

    async def reap(  # type: ignore[no-untyped-def]
        self, queues, *, limit, delay, error, now=None
    ):
        clock = datetime.now(UTC)
        return await super().reap(queues, limit=limit, delay=delay, error=error, now=clock)


@saboteur("CLM-06")
class LimitZeroIsNoLimit(Saboteur):
    """`limit 0` means everything, as it does in some stores."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        wants = [replace(want, limit=want.limit or 1_000) for want in wants]
        return await super().claim(wants, worker=worker, lease=lease, now=now)


@saboteur("CLM-09", "HIS-01")
class CancelledClaimLosesJobs(Saboteur):
    """A job is popped first, and its lease noted in a second step."""

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await self.remove([one.token.key for one in claimed.leases])
            raise
        return claimed


@saboteur("CAN-04")
class CancelRacesClaim(Saboteur):
    """A cancel decides by a state that it read before."""

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        before = await self.states(keys)
        await asyncio.sleep(0)
        answers = await super().cancel(keys, reason=reason, now=now)
        return [
            replace(answer, state=JobState.CANCELLED, status=answers[number].status.DONE)
            if before[number] is JobState.READY
            else answer
            for number, answer in enumerate(answers)
        ]


@saboteur("RPR-01")
class SettleRacesReap(Saboteur):
    """A settlement that found its token valid is answered as applied, whatever came since."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        before = await self.get([item.token.key for item in items])
        await asyncio.sleep(0)
        answers = await super().settle(items, now=now)
        return [
            Settled(SettleStatus.APPLIED, JobState.COMPLETED)
            if record and record.state is JobState.RUNNING and record.epoch == item.token.epoch
            else answer
            for record, item, answer in zip(before, items, answers, strict=True)
        ]
