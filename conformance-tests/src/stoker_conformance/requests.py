"""One request of each operation that changes something, with what it answers first and again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeAlias, cast

from stoker.driver import (
    After,
    At,
    Cancel,
    Capability,
    ChangeStatus,
    Complete,
    Driver,
    EnqueueStatus,
    ExtendStatus,
    Fail,
    FireStatus,
    JobKey,
    Keep,
    Outcome,
    Release,
    Retention,
    Retry,
    Schedules,
    SettleStatus,
    Snooze,
    Token,
)
from stoker_conformance.bench import ERROR, LEASE, Bench

__all__ = ["Request", "requests"]

_LATER: Final = After(timedelta(minutes=5))
_AT_ONCE: Final = timedelta(0)

Send: TypeAlias = Callable[[Driver], Awaitable[object]]
"""Sends a request, by whichever client, and returns what matters of the answer."""
Prepare: TypeAlias = Callable[[Bench, Driver, str], Awaitable[tuple[JobKey, Send]]]
"""Prepares a job in a queue that is its own; returns its key and the request about it."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be sent again."""

    what: str
    operation: str
    prepare: Prepare
    answer: object
    """What it answers."""
    answer_again: object
    """What it answers when it has been applied before."""


def requests(c: Bench) -> list[Request]:
    """Return the requests that the contract lets be sent again: all but claims."""
    done, inserted = ChangeStatus.DONE, EnqueueStatus.INSERTED
    unfit, gone = ChangeStatus.NOT_APPLICABLE, ChangeStatus.GONE
    applied, already = SettleStatus.APPLIED, SettleStatus.ALREADY
    extended, requested = ExtendStatus.EXTENDED, ChangeStatus.REQUESTED
    outcomes: tuple[Outcome, ...] = (
        Complete(),
        Fail(ERROR),
        Retry(_LATER, ERROR),
        Release(_LATER, parked=True),
        Snooze(_LATER),
        Cancel("not wanted"),
    )
    found = [
        Request("an enqueue", "enqueue", _enqueue, inserted, inserted),
        *(
            Request(type(outcome).__name__, "settle", _settle(outcome), applied, already)
            for outcome in outcomes
        ),
        Request("an extend", "extend", _extend, extended, extended),
        Request("a reap", "reap", _reap, 1, 0),
        Request("a promote", "promote", _promote, 1, 0),
        Request("the cancel of a pending job", "cancel", _cancel_pending, done, unfit),
        Request("the cancel of a running job", "cancel", _cancel_running, requested, requested),
        Request("a manual retry", "retry", _retry, done, unfit),
        Request("a reschedule", "reschedule", _reschedule, done, done),
        Request("a remove", "remove", _remove, done, gone),
        Request("a purge", "purge", _purge, 1, 0),
    ]
    if Capability.SCHEDULE in c.info.capabilities:
        fired, conflict = FireStatus.FIRED, FireStatus.CONFLICT
        found.append(Request("a fire", "fire_schedule", _fire, fired, conflict))
    return found


async def _pending(c: Bench, driver: Driver, queue: str, **fields: Any) -> JobKey:
    job = c.job(queue=queue, payload=b"{}", max_attempts=5, **fields)
    await c.put(driver, job)
    return job.key


async def _running(c: Bench, driver: Driver, queue: str) -> Token:
    await _pending(c, driver, queue)
    return (await c.claim_one(driver, queue=queue)).token


async def _failed(c: Bench, driver: Driver, queue: str) -> JobKey:
    token = await _running(c, driver, queue)
    await c.finish(driver, token, Fail(ERROR))
    return token.key


async def _enqueue(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    job = c.job(queue=queue, payload=b"{}", tags=("a", "b"), metadata={"c": "d"})

    async def send(client: Driver) -> object:
        return (await client.enqueue([job], now=c.now))[0].status

    return job.key, send


def _settle(outcome: Outcome) -> Prepare:
    async def prepare(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
        token = await _running(c, driver, queue)

        async def send(client: Driver) -> object:
            return (await c.settle(client, token, outcome, now=c.at(5))).status

        return token.key, send

    return prepare


async def _extend(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    token = await _running(c, driver, queue)

    async def send(client: Driver) -> object:
        return (await c.extend(client, token, now=c.at(5))).status

    return token.key, send


async def _reap(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    token = await _running(c, driver, queue)

    async def send(client: Driver) -> object:
        end = c.now + LEASE
        return len(await client.reap([queue], limit=9, delay=_AT_ONCE, error=ERROR, now=end))

    return token.key, send


async def _promote(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    key = await _pending(c, driver, queue, run_at=_LATER)

    async def send(client: Driver) -> object:
        return (await client.promote([queue], limit=9, now=c.at(600))).count

    return key, send


async def _cancel_pending(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    return _cancel(c, await _pending(c, driver, queue))


async def _cancel_running(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    return _cancel(c, (await _running(c, driver, queue)).key)


def _cancel(c: Bench, key: JobKey) -> tuple[JobKey, Send]:
    async def send(client: Driver) -> object:
        return (await client.cancel([key], reason="not wanted", now=c.at(5)))[0].status

    return key, send


async def _retry(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    key = await _failed(c, driver, queue)

    async def send(client: Driver) -> object:
        return (await client.retry([key], now=c.at(5)))[0].status

    return key, send


async def _reschedule(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    key = await _pending(c, driver, queue, run_at=_LATER)

    async def send(client: Driver) -> object:
        when = At(c.at(900))
        return (await client.reschedule([key], when, now=c.at(5)))[0].status

    return key, send


async def _remove(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    key = await _pending(c, driver, queue)

    async def send(client: Driver) -> object:
        return (await client.remove([key]))[0].status

    return key, send


async def _purge(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    key = await _failed(c, driver, queue)
    none = Keep(newest=0)

    async def send(client: Driver) -> object:
        return await client.purge(queue, Retention(none, none, none), limit=9, now=c.at(5))

    return key, send


async def _fire(c: Bench, driver: Driver, queue: str) -> tuple[JobKey, Send]:
    schedules = cast(Schedules, driver)
    schedule = await schedules.put_schedule(queue, "daily", b"{}", At(c.now), now=c.now)
    job = c.job(queue=queue, payload=b"{}")

    async def send(client: Driver) -> object:
        following = c.at(3600)
        fired = await cast(Schedules, client).fire_schedule(
            queue, "daily", schedule.version, following, [job], now=c.now
        )
        return fired.status

    return job.key, send
