"""TXN: jobs inside the user's own transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol, cast

from stoker.driver import (
    Capability,
    Complete,
    Driver,
    EnqueueStatus,
    JobKey,
    JobState,
    NewJob,
    Settled,
    Settlement,
    SettleStatus,
    Token,
    Transactional,
)
from stoker.errors import DriverUnavailable, InvalidInput
from stoker_conformance.bench import LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import Violation, expect, expect_refusal, expect_unchanged
from stoker_conformance.waiting import eventually

_NEEDS: Final = (Capability.TRANSACTIONAL,)


class _TransactionDriver(Driver, Transactional[Any], Protocol):
    """A driver with this capability, for whatever connections it takes."""


class _UserFailed(Exception):
    """The user's own code failed inside the block."""


@case(
    "TXN-01",
    clauses=("transaction.rollback",),
    needs=_NEEDS,
    fix="enqueue_in has to run on the connection it was given, and must not commit there.",
)
async def a_rollback_leaves_nothing(c: Bench) -> None:
    """After a rollback there is no job, no key and no duplicate."""
    driver, other = await _driver(c), await c.driver()
    jobs = [c.job(), c.job()]
    before = await c.footprint()
    async with c.connection() as connection:
        await connection.begin()
        answers = await driver.enqueue_in(connection.raw, jobs, now=c.now)
        statuses = [answer.status for answer in answers]
        expect("the answers", statuses, [EnqueueStatus.INSERTED] * 2)
        await connection.rollback()
    expect("records after the rollback", await other.get([job.key for job in jobs]), [None, None])
    expect("jobs claimed after the rollback", await c.claim_ids(other), [])
    expect("the footprint", await c.footprint(), before)
    [answer] = await other.enqueue([c.job(jobs[0].key.id)], now=c.now)
    expect("the same id afterwards", answer.status, EnqueueStatus.INSERTED)


@case(
    "TXN-02",
    clauses=("transaction.invisible",),
    needs=_NEEDS,
    fix="Nobody but the transaction itself may see its jobs before it commits.",
)
async def a_job_is_invisible_before_commit(c: Bench) -> None:
    """A job is invisible to other clients until the commit, and claimable after it."""
    driver, other = await _driver(c), await c.driver()
    job = c.job()
    async with c.connection() as connection:
        await connection.begin()
        await driver.enqueue_in(connection.raw, [job], now=c.now)
        expect("the record before commit", await other.get([job.key]), [None])
        counts = (await other.stats([QUEUE], now=c.now))[QUEUE].counts
        expect("counts before commit", sum(counts.values()), 0)
        await connection.commit()
    expect("claimed after commit", await c.claim_ids(other), [job.key.id])


@case(
    "TXN-03",
    clauses=("transaction.duplicate",),
    needs=_NEEDS,
    fix="A duplicate must not fail the statement: in many stores a failed statement aborts the "
    "whole transaction of the user.",
)
async def a_duplicate_does_not_poison_the_transaction(c: Bench) -> None:
    """A duplicate is an answer; the transaction goes on, and commits the rest."""
    driver, other = await _driver(c), await c.driver()
    old, new, last = c.job(), c.job(), c.job()
    await c.put(other, old)
    before = await c.record(other, old.key)
    async with c.connection() as connection:
        await connection.begin()
        batch = [c.job(old.key.id), new, c.job(new.key.id)]
        answers = await driver.enqueue_in(connection.raw, batch, now=c.at(1))
        statuses = [answer.status for answer in answers]
        duplicate = EnqueueStatus.DUPLICATE_ID
        expect("the answers", statuses, [duplicate, EnqueueStatus.INSERTED, duplicate])
        [answer] = await driver.enqueue_in(connection.raw, [last], now=c.at(1))
        expect("the next statement", answer.status, EnqueueStatus.INSERTED)
        await connection.commit()
    expect_unchanged("the old job", await c.record(other, old.key), before)
    expected = [job.key.id for job in (old, new, last)]
    expect("claimed", await c.claim_ids(other, now=c.at(2)), expected)


@case(
    "TXN-05",
    clauses=("transaction.settle", "transaction.block"),
    needs=_NEEDS,
    fix="settle_in runs on the connection it was given; `transaction` commits when its block ends "
    "well, and rolls back when an exception leaves it.",
)
async def completion_and_effects_are_one(c: Bench) -> None:
    """A completion commits together with the effects of its block, or neither of them does."""
    driver, other = await _driver(c), await c.driver()
    job, effect = c.job(), c.job(queue="effects")
    await c.put(other, job)
    token = (await c.claim_one(other)).token
    running = await c.record(other, job.key)
    try:
        async with driver.transaction(lease=LEASE) as connection:
            await driver.enqueue_in(connection, [effect], now=c.at(1))
            await _settle_in(c, driver, connection, token, SettleStatus.APPLIED)
            raise _UserFailed
    except _UserFailed:
        pass
    expect_unchanged("the job after the rollback", await c.record(other, job.key), running)
    expect("the effect after the rollback", await c.state(other, effect.key), None)

    async with driver.transaction(lease=LEASE) as connection:
        await driver.enqueue_in(connection, [effect], now=c.at(2))
        await _settle_in(c, driver, connection, token, SettleStatus.APPLIED)
    states = await c.states(other, [job.key, effect.key])
    expect("job and effect after the commit", states, [JobState.COMPLETED, JobState.READY])
    answer = await c.settle(other, token, Complete(), now=c.at(3))
    expect("the same settlement again", answer.status, SettleStatus.ALREADY)
    await _complete_beside_a_heartbeat(c, driver, other)


async def _complete_beside_a_heartbeat(c: Bench, driver: _TransactionDriver, other: Driver) -> None:
    """Extend the lease after a block has read, on a connection whose own level would mind."""
    job = c.job()
    await c.put(other, job)
    token = (await c.claim_one(other)).token
    async with (
        c.snapshot_connection() as strict,
        driver.transaction(strict.raw, lease=LEASE) as connection,
    ):
        await driver.enqueue_in(connection, [c.job(queue="effects")], now=c.at(1))
        with suppress(DriverUnavailable):  # where a transaction excludes other writers
            await c.extend(other, token, now=c.at(2))
        settling = driver.settle_in(connection, Settlement(token, Complete()), now=c.at(3))
        try:
            answer = await settling
        except Exception as error:
            what = "settle_in after a heartbeat, in a block"
            raise Violation(what, "an answer", f"{type(error).__name__}: {error}") from error
        expect("the answer of settle_in after a heartbeat", answer.status, SettleStatus.APPLIED)
    expect("the state after the commit", await c.state(other, job.key), JobState.COMPLETED)


@case(
    "TXN-06",
    clauses=("transaction.fenced",),
    needs=_NEEDS,
    fix="settle_in is guarded by key, epoch and state like settle: a lease that was reaped "
    "answers STALE, so that the caller rolls its effects back.",
)
async def a_reaped_lease_cannot_commit(c: Bench) -> None:
    """A lease that was reaped before the last statement answers STALE, and an unknown one GONE."""
    driver, other = await _driver(c), await c.driver()
    job, effect = c.job(), c.job(queue="effects")
    await c.put(other, job)
    token = (await c.claim_one(other)).token
    await c.reap(other, now=c.at(60))
    unknown = Token(JobKey(QUEUE, "unknown"), token.epoch)
    for dead, expected in (
        (token, SettleStatus.STALE),
        (unknown, SettleStatus.GONE),
        (token, SettleStatus.STALE),
    ):
        before = await c.record(other, job.key)
        try:
            async with driver.transaction(lease=LEASE) as connection:
                await driver.enqueue_in(connection, [effect], now=c.at(61))
                await _settle_in(c, driver, connection, dead, expected)
                raise _UserFailed  # what the core does after any answer but APPLIED
        except _UserFailed:
            pass
        expect("the effect", await c.state(other, effect.key), None)
        expect_unchanged("the job", await c.record(other, job.key), before)
        await c.claim(other, now=c.at(61))  # for the last one somebody else holds the lease


@case(
    "TXN-08",
    clauses=("transaction.settle", "transaction.block"),
    needs=_NEEDS,
    fix="settle_in took effect before the commit of its transaction, or the transaction of a dead "
    "client stayed open: the store has to roll it back when the connection ends.",
)
async def a_worker_killed_before_the_commit_did_nothing(c: Bench) -> None:
    """A worker that is killed between settle_in and the commit did nothing; its job comes back."""
    worker, other = await c.actor(), await _driver(c)
    job, effect = c.job(), c.job(queue="effects")
    await c.put(other, job)
    token = (await c.claim_one(worker.driver)).token
    running = await c.record(other, job.key)
    inside = worker.stream(_settle_and_stay, token, effect, c.at(1))
    expect("the answer of settle_in", (await anext(inside)).status, SettleStatus.APPLIED)
    await worker.kill()

    expect_unchanged("the job after the kill", await c.record(other, job.key), running)
    expect("the effect after the kill", await c.state(other, effect.key), None)
    # The store may need a moment to see that the client is gone, and skips what is locked.
    await eventually("the lease is reaped", partial(c.reap, other, now=c.at(60)))
    again = (await c.claim_one(other, now=c.at(60))).token
    async with other.transaction(lease=LEASE) as connection:
        await other.enqueue_in(connection, [effect], now=c.at(61))
        await _settle_in(c, other, connection, again, SettleStatus.APPLIED)
    states = await c.states(other, [job.key, effect.key])
    expect("job and effect in the end", states, [JobState.COMPLETED, JobState.READY])


@case(
    "TXN-11",
    clauses=("transaction.required",),
    needs=_NEEDS,
    fix="Without an open transaction there is nothing to join: refuse with InvalidInput. Inside "
    "one, `transaction` could not see the commit: refuse as well.",
)
async def a_wrong_transaction_is_refused(c: Bench) -> None:
    """enqueue_in wants an open transaction, and `transaction` a connection without one."""
    driver = await _driver(c)
    job = c.job()
    async with c.connection() as connection:
        outside = driver.enqueue_in(connection.raw, [job], now=c.now)
        await expect_refusal("enqueue_in without a transaction", outside, InvalidInput)
        await connection.begin()

        async def nested() -> None:
            async with driver.transaction(connection.raw, lease=LEASE):
                pass

        await expect_refusal("a transaction inside another", nested(), InvalidInput)
        await connection.rollback()
        async with driver.transaction(connection.raw, lease=LEASE) as joined:
            await driver.enqueue_in(joined, [job], now=c.now)
    expect("the job of the last block", await c.state(driver, job.key), JobState.READY)


async def _driver(c: Bench) -> _TransactionDriver:
    return cast(_TransactionDriver, await c.driver())


async def _settle_and_stay(
    driver: _TransactionDriver, token: Token, effect: NewJob, now: datetime
) -> AsyncGenerator[Settled, None]:
    """Settle in a transaction, with an effect; yield the answer, and never come to the commit."""
    async with driver.transaction(lease=LEASE) as connection:
        await driver.enqueue_in(connection, [effect], now=now)
        yield await driver.settle_in(connection, Settlement(token, Complete()), now=now)
        await asyncio.Event().wait()


async def _settle_in(
    c: Bench, driver: _TransactionDriver, connection: Any, token: Token, expected: SettleStatus
) -> None:
    answer = await driver.settle_in(connection, Settlement(token, Complete()), now=c.at(61))
    expect("the answer of settle_in", answer.status, expected)
