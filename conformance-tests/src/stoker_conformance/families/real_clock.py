"""RT: operations without a `now` go by the store's own clock, and mean the same as with one.

These cases wait in real time, for tens of milliseconds, and ask until something has happened. They
know lower bounds only: a slow machine makes everything late, and nothing early.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, cast

from stoker.driver import (
    After,
    Capability,
    ClockSource,
    Driver,
    EnqueueStatus,
    ExtendStatus,
    Extension,
    JobKey,
    JobState,
    Lease,
    NewJob,
    Reaped,
    Release,
    Retry,
    Settlement,
    Token,
    Transactional,
    Want,
)
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that
from stoker_conformance.runner import NotRequired
from stoker_conformance.skew import skewed_clock
from stoker_conformance.waiting import eventually

_SHORT: Final = timedelta(milliseconds=60)
_SLACK: Final = 0.9
"""The part of a length of time that has to pass by this process's clock. Two clocks do not run
equally fast, and one of them may be set meanwhile; a wrong unit is off by far more."""
_HOUR: Final = timedelta(hours=1)


@case(
    "RT-01",
    clauses=("time.store_clock", "time.never_early"),
    fix="Without a `now` the store's clock is read in the operation itself. A delay is added to "
    "that time, and a promote compares with it.",
)
async def a_delay_is_never_early(c: Bench) -> None:
    """By the store's clock a delayed job is claimable after its delay, never before."""
    driver = await c.driver()
    delay = _at_least(_SHORT, c.tick)
    job = c.job(run_at=After(delay))
    began = time.monotonic()
    await _enqueue(driver, job)
    first = await driver.claim([Want(QUEUE, 1)], worker="worker-1", lease=LEASE)
    due_in = first.next_due_in
    expect_that("a delayed job is not claimed", not first.leases, first)
    expect_that(
        "next_due_in is told, and is not longer than the delay",
        due_in is not None and timedelta(0) <= due_in <= delay + c.tick,
        due_in,
    )
    lease = await eventually("a claim of a job that is due", lambda: _promote_and_claim(driver))
    waited = time.monotonic() - began
    expect_that(f"{delay} passed until the claim", waited >= _SLACK * delay.total_seconds(), waited)
    expect_that("claimed_at is not before run_at", lease.claimed_at >= lease.run_at, lease)
    expect("the job claimed", lease.token.key, job.key)
    if Capability.TRANSACTIONAL in c.info.capabilities:
        await _expect_a_clock_that_runs(c, driver, delay)


async def _expect_a_clock_that_runs(c: Bench, driver: Driver, delay: timedelta) -> None:
    """Enqueue in a transaction that is older than the delay."""
    joining = cast("Transactional[Any]", driver)
    job = c.job(run_at=After(delay))
    async with c.connection() as connection:
        await connection.begin()
        await joining.enqueue_in(connection.raw, [c.job(queue="others")])
        await asyncio.sleep(2 * delay.total_seconds())
        began = time.monotonic()
        await joining.enqueue_in(connection.raw, [job])
        await connection.commit()
    await eventually("a claim of a job that is due", lambda: _promote_and_claim(driver))
    waited = time.monotonic() - began
    what = f"{delay} passed since an enqueue in a transaction, until the claim"
    expect_that(what, waited >= _SLACK * delay.total_seconds(), waited)


@case(
    "RT-02",
    clauses=("time.store_clock", "lease.held"),
    fix="Without a `now` claim and extend add the lease to the store's time, and reap compares "
    "with it.",
)
async def a_lease_expires_by_the_stores_clock(c: Bench) -> None:
    """By the store's clock a lease is reaped after its end, never before; long ones stay."""
    driver = await c.driver()
    lease = _at_least(_SHORT, c.tick)
    short, long = c.job("short"), c.job("long")
    await _enqueue(driver, short, long)
    tokens: dict[JobKey, Token] = {}

    async def claim() -> bool:
        claimed = await driver.claim([Want(QUEUE, 2)], worker="worker-1", lease=_HOUR)
        tokens.update({found.token.key: found.token for found in claimed.leases})
        return len(tokens) == 2

    await eventually("a claim of both jobs", claim)
    began = time.monotonic()
    [extended] = await driver.extend([Extension(tokens[short.key])], lease=lease)
    expect("the answer to an extend", extended.status, ExtendStatus.EXTENDED)
    reaped = await eventually("a reap of a lease that has expired", lambda: _reap(driver))
    waited = time.monotonic() - began
    expect("the job reaped", [one.lease.token for one in reaped], [tokens[short.key]])
    expect_that(f"{lease} passed until the reap", waited >= _SLACK * lease.total_seconds(), waited)
    record = await c.record(driver, short.key)
    expect("state and crashes", (record.state, record.crashes), (JobState.READY, 1))
    expect("the long lease", await c.state(driver, long.key), JobState.RUNNING)
    expect("a second reap", await _reap(driver), [])


@case(
    "RT-03",
    clauses=("time.server_clock",),
    fix="A driver whose clock is the server's never asks its own process for the time: let the "
    "server compute every time of an operation, or ask it for its own first.",
)
async def a_clients_wrong_clock_changes_nothing(c: Bench) -> None:
    """With a server's clock, a client that is an hour off makes nothing early, late or expired."""
    if c.info.clock is ClockSource.PROCESS:
        raise NotRequired(f"the clock of {c.info.name} is the process's")
    right = await c.driver()
    running, late = c.job(), c.job(run_at=After(_HOUR / 2))
    await _enqueue(right, running)
    lease = await _claim(right, _HOUR / 2)
    await _enqueue(right, late)
    stored = (await c.record(right, late.key)).enqueued_at
    for skew in (_HOUR, -_HOUR):
        wrong = await c.client()
        with skewed_clock(wrong, skew):
            await wrong.open()
            job = c.job(max_attempts=2)
            await _enqueue(wrong, job)
            record = await c.record(wrong, job.key)
            off = abs(record.enqueued_at - stored)
            expect_that(f"enqueued_at, by a client {skew} off, is right", off < _HOUR / 2, record)
            expect("a job for now", record.state, JobState.READY)
            expect("promoted early", (await wrong.promote([QUEUE], limit=10)).count, 0)
            expect("reaped early", await _reap(wrong), [])
            leased = await _claim(wrong, _HOUR / 2)
        expect("reaped early by a right client", await _reap(right), [])
        expect("the job claimed", leased.token.key, job.key)
        [answer] = await right.settle([Settlement(leased.token, Release(After(_HOUR / 2)))])
        expect("what a release leads to", answer.state, JobState.SCHEDULED)
    expect("the first lease", await c.state(right, lease.token.key), JobState.RUNNING)


@case(
    "RT-04",
    clauses=("time.store_clock", "time.boundary", "lease.boundary", "state.by_time"),
    fix="One code path serves both: take the `now` that was given or the store's, once an "
    "operation, and go on in the same way.",
)
async def both_paths_agree(c: Bench) -> None:
    """With a given now and by the store's clock, a job goes the same way at the same distances."""
    given = await _life(c, await c.driver(), c.at)
    elsewhere = await c.driver(await c.another_namespace())  # the two are never mixed in a store
    told = await _life(c, elsewhere, lambda _: None)
    for what, holds in given.items():
        expect(f"with a given now, {what}", holds, True)
        expect(f"by the store's clock, {what}", told[what], True)


async def _life(
    c: Bench, driver: Driver, now: Callable[[float], datetime | None]
) -> dict[str, bool]:
    """Lead a job through delay, lease, retry and reap; return what holds of its times.

    `now` tells the time of each step in seconds, or that the store's clock is to be read.
    """
    length = _at_least(_SHORT / 2, c.tick)
    facts: dict[str, bool] = {}

    async def promote(step: float) -> bool:
        return (await driver.promote([QUEUE], limit=10, now=now(step))).count > 0

    async def claim(step: float) -> Lease:
        return await _claim(driver, length, now(step))

    async def reap(step: float) -> list[Reaped]:
        return await driver.reap([QUEUE], limit=10, delay=timedelta(0), error=ERROR, now=now(step))

    ready, delayed = c.job(queue="ready"), c.job(run_at=After(length), max_attempts=2)
    await driver.enqueue([ready, delayed], now=now(0))
    at_once, later = await c.record(driver, ready.key), await c.record(driver, delayed.key)
    facts["a job for now is ready, at its run_at"] = (
        at_once.state is JobState.READY and at_once.run_at == at_once.ready_at
    )
    facts["a delayed job is scheduled"] = later.state is JobState.SCHEDULED
    facts["run_at is enqueued_at + delay"] = _apart(c, later.enqueued_at, later.run_at, length)
    await eventually("a promote", lambda: promote(1))
    promoted = await c.record(driver, delayed.key)
    facts["it is promoted when it is due"] = _after(promoted.run_at, promoted.ready_at)
    lease = await claim(2)
    facts["expires_at is claimed_at + lease"] = _apart(
        c, lease.claimed_at, lease.expires_at, length
    )
    facts["it is claimed after it became ready"] = _after(promoted.ready_at, lease.claimed_at)
    await eventually("a reap", lambda: reap(3))
    reaped = await c.record(driver, delayed.key)
    facts["it is reaped when the lease has expired"] = _after(lease.expires_at, reaped.ready_at)
    again = await claim(4)
    retry = Settlement(again.token, Retry(After(length), ERROR))
    await driver.settle([retry], now=now(4))
    facts["a retry waits for its delay"] = _after(
        again.claimed_at + length, (await c.record(driver, delayed.key)).run_at
    )
    return facts


def _apart(c: Bench, earlier: datetime, later: datetime, length: timedelta) -> bool:
    """Whether two times of one operation are so far apart, as they are stored."""
    return length <= later - earlier < length + c.tick


def _after(earlier: datetime | None, later: datetime | None) -> bool:
    return earlier is not None and later is not None and later >= earlier


def _at_least(length: timedelta, tick: timedelta) -> timedelta:
    """Return a whole number of ticks that is not shorter than `length`."""
    return -(-length // tick) * tick


async def _enqueue(driver: Driver, *jobs: NewJob) -> None:
    answers = await driver.enqueue(jobs)
    statuses = [answer.status for answer in answers]
    expect("the answers to an enqueue", statuses, [EnqueueStatus.INSERTED] * len(jobs))


async def _claim(driver: Driver, length: timedelta, now: datetime | None = None) -> Lease:
    async def ask() -> list[Lease]:
        wants = [Want(QUEUE, 1)]
        return (await driver.claim(wants, worker="worker-1", lease=length, now=now)).leases

    return (await eventually("a claim", ask))[0]


async def _promote_and_claim(driver: Driver) -> Lease | None:
    await driver.promote([QUEUE], limit=10)
    claimed = await driver.claim([Want(QUEUE, 1)], worker="worker-1", lease=LEASE)
    return claimed.leases[0] if claimed.leases else None


async def _reap(driver: Driver) -> list[Reaped]:
    return await driver.reap([QUEUE], limit=10, delay=timedelta(0), error=ERROR)
