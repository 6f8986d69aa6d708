"""Defects of settle and extend: fencing, replays, attempts, cancels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur, with_outcomes
from stoker.driver import (
    IMMEDIATELY,
    Changed,
    ChangeStatus,
    Claimed,
    Complete,
    Extended,
    ExtendStatus,
    Extension,
    Fail,
    JobKey,
    JobRecord,
    JobState,
    Outcome,
    Reaped,
    Release,
    Retry,
    Settled,
    Settlement,
    SettleStatus,
    Snooze,
    Token,
    Want,
)


@saboteur("FNC-01", "FNC-03", "FNC-10")
class UnfencedSettle(Saboteur):
    """Any token settles the run of today."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        items = [replace(item, token=await self.current(item.token)) for item in items]
        return await super().settle(items, now=now)


@saboteur("FNC-02", "FNC-10")
class UnfencedExtend(Saboteur):
    """Any token keeps the run of today alive."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        items = [replace(item, token=await self.current(item.token)) for item in items]
        return await super().extend(items, lease=lease, now=now)


@saboteur("FNC-04", "FNC-08", "HIS-04")
class DeadTokensLive(Saboteur):
    """A Complete is always taken, whether or not the job still runs."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = await super().settle(items, now=now)
        lie = Settled(SettleStatus.APPLIED, JobState.COMPLETED)
        return [
            lie if isinstance(item.outcome, Complete) else answer
            for item, answer in zip(items, answers, strict=True)
        ]


@saboteur("LSE-05", "FNC-08")
class DeadTokensExtend(Saboteur):
    """An extend is always answered with EXTENDED."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        await super().extend(items, lease=lease, now=now)
        return [Extended(ExtendStatus.EXTENDED) for _ in items]


@saboteur("FNC-07", "HIS-01")
class ExpiryKillsTokens(Saboteur):
    """A late settlement is refused by the clock."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = []
        for item in items:
            record = await self.record(item.token.key)
            if record and now and record.expires_at and record.expires_at <= now:
                answers.append(Settled(SettleStatus.STALE))
            else:
                answers += await super().settle([item], now=now)
        return answers


@saboteur("FNC-05", "HIS-01")
class ReplaySaysStale(Saboteur):
    """A settlement that was sent again is not recognised."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = await super().settle(items, now=now)
        stale = Settled(SettleStatus.STALE)
        return [stale if answer.status is SettleStatus.ALREADY else answer for answer in answers]


@saboteur("FNC-06")
class StaleItemPoisonsTheBatch(Saboteur):
    """One token that is not valid, and nothing of the batch is applied."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        for item in items:
            record = await self.record(item.token.key)
            if len(items) > 1 and (record is None or record.state is not JobState.RUNNING):
                return [Settled(SettleStatus.STALE) for _ in items]
        return await super().settle(items, now=now)


@saboteur("FNC-06")
class AnswersMisaligned(Saboteur):
    """The answers come in the order of the rows."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = await super().settle(items, now=now)
        return sorted(answers, key=lambda answer: answer.status.value)


class _Burning(Saboteur):
    """Counts an attempt that should be refunded."""

    def burn(self, key: JobKey) -> None:
        burnt = self.notes["burnt"]
        burnt[key] = burnt.get(key, 0) + 1

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        burnt = self.notes["burnt"]
        leases = [
            replace(lease, attempt=lease.attempt + burnt.get(lease.token.key, 0))
            for lease in claimed.leases
        ]
        return replace(claimed, leases=leases)


@saboteur("RPR-02", "LSE-01", "HIS-01")
class ReapBurnsAnAttempt(_Burning):
    """A worker that was killed costs its job a try."""

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
        for one in reaped:
            self.burn(one.lease.token.key)
        return reaped


@saboteur("RTY-03")
class ReleaseBurnsAnAttempt(_Burning):
    """A deploy costs every job that runs a try."""

    kind: type[Outcome] = Release

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = await super().settle(items, now=now)
        for item, answer in zip(items, answers, strict=True):
            if isinstance(item.outcome, self.kind) and answer.status is SettleStatus.APPLIED:
                self.burn(item.token.key)
        return answers


@saboteur("RTY-03")
class SnoozeBurnsAnAttempt(ReleaseBurnsAnAttempt):
    """A job that asks for a later time pays for it."""

    kind = Snooze


@saboteur("RTY-01", "HIS-01")
class RetryDropsThePayload(Saboteur):
    """A retried job comes back empty."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        for item in items:
            if isinstance(item.outcome, Retry):
                self.notes["empty"][item.token.key] = True
        return await super().settle(items, now=now)

    async def claim(
        self, wants: Sequence[Want], *, worker: str, lease: timedelta, now: datetime | None = None
    ) -> Claimed:
        claimed = await super().claim(wants, worker=worker, lease=lease, now=now)
        empty = self.notes["empty"]
        leases = [
            replace(lease, payload=b"null") if lease.token.key in empty else lease
            for lease in claimed.leases
        ]
        return replace(claimed, leases=leases)


@saboteur("RTY-02")
class RetryPastTheLastAttempt(Saboteur):
    """A job is retried for ever."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        def again(outcome: Outcome) -> Outcome:
            return Release(outcome.when) if isinstance(outcome, Retry) else outcome

        return await super().settle(with_outcomes(items, again), now=now)


@saboteur("RTY-01")
class RetryIgnoresItsTime(Saboteur):
    """A retry is due at once: no backoff."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        def at_once(outcome: Outcome) -> Outcome:
            return Retry(IMMEDIATELY, outcome.error) if isinstance(outcome, Retry) else outcome

        return await super().settle(with_outcomes(items, at_once), now=now)


@saboteur("RTY-05")
class FailIsARetry(Saboteur):
    """A job that failed for good is tried again."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        def again(outcome: Outcome) -> Outcome:
            return Retry(IMMEDIATELY, outcome.error) if isinstance(outcome, Fail) else outcome

        return await super().settle(with_outcomes(items, again), now=now)


@saboteur("RTY-08")
class ParkingMovesItsTime(Saboteur):
    """Every parking counts as the first: the grace never ends."""

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        records = await super().get(keys)
        return [
            replace(record, parked_since=record.parked_since and record.ready_at)
            if record
            else None
            for record in records
        ]


@saboteur("RTY-04")
class ErrorsKeepTheOldest(Saboteur):
    """The error list is full after ten, and the newest are lost."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        first = self.notes["first"]
        for item in items:
            if isinstance(item.outcome, Retry):
                kept = first.setdefault(item.token.key, [])
                kept.append(item.outcome.error)
        return await super().settle(items, now=now)

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        first = self.notes["first"]
        return [
            replace(record, errors=tuple(first[record.key][:10]))
            if record and record.key in first
            else record
            for record in await super().get(keys)
        ]


@saboteur("CAN-03")
class RetryForgetsTheCancel(Saboteur):
    """A job that somebody cancelled comes back because its run failed."""

    kind: type[Outcome] = Retry

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        answers = await super().settle(items, now=now)
        for number, item in enumerate(items):
            if isinstance(item.outcome, self.kind) and answers[number].state is JobState.CANCELLED:
                await self.retry([item.token.key], now=now)
                answers[number] = replace(answers[number], state=JobState.READY)
        return answers


@saboteur("CAN-03")
class ReleaseForgetsTheCancel(RetryForgetsTheCancel):
    """A job that somebody cancelled comes back because of a deploy."""

    kind = Release


@saboteur("CAN-02", "CAN-04")
class ExtendHidesTheCancel(Saboteur):
    """The worker never learns that its job was cancelled."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        answers = await super().extend(items, lease=lease, now=now)
        return [Extended(answer.status) for answer in answers]


@saboteur("CAN-02")
class CancelKillsTheLease(Saboteur):
    """A cancel takes a running job away from its worker."""

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        answers = await super().cancel(keys, reason=reason, now=now)
        for key in keys:
            record = await self.record(key)
            if record is not None and record.state is JobState.RUNNING:
                stop = Settlement(Token(key, record.epoch), Release(IMMEDIATELY))
                await super().settle([stop], now=now)
        return answers


@saboteur("CAN-05")
class SecondCancelWins(Saboteur):
    """The reason of a cancel is overwritten by the next."""

    async def cancel(
        self, keys: Sequence[JobKey], *, reason: str, now: datetime | None = None
    ) -> list[Changed]:
        answers = await super().cancel(keys, reason=reason, now=now)
        for key, answer in zip(keys, answers, strict=True):
            if answer.status is ChangeStatus.REQUESTED:
                self.notes["reasons"][key] = reason
        return answers

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        reasons = self.notes["reasons"]
        return [
            replace(record, cancel_reason=reasons.get(record.key, record.cancel_reason))
            if record
            else None
            for record in await super().get(keys)
        ]


@saboteur("CAN-07")
class CancelDropsItsReason(Saboteur):
    """Nobody knows why a job was cancelled."""

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        return [
            replace(record, cancel_reason=record.cancel_reason and "cancelled") if record else None
            for record in await super().get(keys)
        ]
