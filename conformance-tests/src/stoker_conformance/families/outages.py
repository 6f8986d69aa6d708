"""DUR: what a client does when its connections are cut, slow or silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from stoker.driver import (
    Claimed,
    Complete,
    Driver,
    Enqueued,
    EnqueueStatus,
    JobState,
    NewJob,
    Scope,
    Want,
)
from stoker.errors import DriverUnavailable
from stoker_conformance.bench import LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import Inconclusive, Violation, expect, expect_that
from stoker_conformance.faults.insisting import insist
from stoker_conformance.faults.link import Link
from stoker_conformance.faults.proxy import LinkFault
from stoker_conformance.waiting import PATIENCE

_SLOW: Final = 0.002
_SLOWER: Final = 0.02
"""Seconds for which data is held back: all the time, and while calls are cancelled."""


@case(
    "DUR-06",
    clauses=("failure.unavailable", "failure.maybe_applied", "failure.reconnects"),
    scope=Scope.NETWORK,
    bound=60,
    fix="Discard a connection that has failed, and connect again for the next call. Raise "
    "DriverUnavailable from the client's own error; `maybe_applied` is true from the moment at "
    "which the first byte of the request may have been sent.",
)
async def a_client_outlives_its_connections(c: Bench) -> None:
    """A client whose connections were cut works on, and tells truly what may have happened."""
    async with c.link() as link:
        driver, witness = await link.driver(), await c.driver()
        await c.put(driver, c.job())
        await link.proxy.cut()
        await _expect_to_work(c, driver, witness)
        await _expect_unavailable(c, link, driver, witness)
        await _expect_to_work(c, driver, witness)

        async def fresh() -> NewJob:
            return c.job()

        def enqueue(job: NewJob) -> Awaitable[list[Enqueued]]:
            return driver.enqueue([job], now=c.now)

        async for job, attempt in link.sweep("enqueue", fresh, enqueue, most=c.exchanges):
            if attempt.error is not None:
                await _expect_truth(c, witness, job, attempt.error)
            await _expect_to_work(c, driver, witness)


@case(
    "DUR-07",
    clauses=("failure.slow_link", "operation.cancelled"),
    scope=Scope.NETWORK,
    bound=60,
    fix="Read each answer to its end, however it is cut into pieces. A connection whose call was "
    "cancelled may still get the answer of that call: discard it, without waiting for the store.",
)
async def a_bad_link_only_delays(c: Bench) -> None:
    """A sliced and a slow link give right answers; on a silent one a cancel ends the call."""
    async with c.link() as link:
        driver, witness = await link.driver(), await c.driver()
        link.proxy.sliced = True
        await _expect_right_answers(c, driver)
        link.proxy.sliced, link.proxy.delay = False, _SLOW
        await _expect_right_answers(c, driver)
        await _expect_no_mixed_answers(c, link, driver)
        link.heal()

        job = c.job()
        link.proxy.arm(LinkFault.HALF_OPEN)
        silent = asyncio.ensure_future(driver.enqueue([job], now=c.now))
        await _until_silent(link, silent)
        await _expect_end("an enqueue on a silent link, after its cancel", silent)
        await _expect_to_work(c, driver, witness)
        [answer] = await insist(partial(driver.enqueue, [job], now=c.now))
        expect("the same enqueue, sent again", answer.status, EnqueueStatus.INSERTED)


@case(
    "DUR-08",
    clauses=("failure.no_retries", "claim.lost_reply", "failure.maybe_applied"),
    scope=Scope.NETWORK,
    bound=60,
    fix="A claim whose answer got lost was sent again inside of the driver or of its client "
    "library: that takes more jobs, and nobody works on the first ones. Turn such retries off.",
)
async def a_claim_that_was_cut_is_not_sent_again(c: Bench) -> None:
    """A claim that got lost takes no second job, and what it took comes back by reap."""
    async with c.link() as link:
        driver, witness = await link.driver(), await c.driver()
        queues = 0

        async def filled() -> str:
            nonlocal queues
            queues += 1
            await c.put(witness, *c.jobs(4, queue=f"queue-{queues}"))
            return f"queue-{queues}"

        def claim(queue: str) -> Awaitable[Claimed]:
            return driver.claim([Want(queue, 1)], worker="worker-1", lease=LEASE, now=c.now)

        async for queue, attempt in link.sweep("claim", filled, claim, most=c.exchanges):
            counts = (await witness.stats([queue], now=c.now))[queue].counts
            taken = counts[JobState.RUNNING]
            if attempt.answer is not None:
                expect("the leases held after a claim", taken, len(attempt.answer.leases))
            else:
                expect_that("a claim of one that failed took one at most", taken <= 1, counts)
            if attempt.error is not None and not attempt.error.maybe_applied:
                expect("leases of a claim that was certainly not applied", taken, 0)
            await c.reap(witness, now=c.at(60), queues=[queue])
            back = await c.claim(witness, queue=queue, now=c.at(60))
            expect("jobs there after the reap", len(back), 4)


async def _expect_to_work(c: Bench, driver: Driver, witness: Driver) -> None:
    """Expect that a client can be used, after some failures at most."""
    job = c.job()
    try:
        [answer] = await insist(partial(driver.enqueue, [job], now=c.now))
    except Exception as error:
        raise Violation(
            "an operation of the same client, the store being there again",
            "an answer, after DriverUnavailable a few times at most",
            f"{error!r} in the end",
        ) from error
    expect("the answer", answer.status, EnqueueStatus.INSERTED)
    expect("the job, seen by another client", await c.state(witness, job.key), JobState.READY)


async def _expect_unavailable(c: Bench, link: Link, driver: Driver, witness: Driver) -> None:
    """Let the store be away, and expect that every kind of call says so."""
    unopened = await link.client()
    job = c.job()
    await c.put(witness, c.job(queue="parcels"))
    token = (await c.claim_one(witness, queue="parcels")).token
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "enqueue": lambda: driver.enqueue([job], now=c.now),
        "claim": lambda: c.claim(driver),
        "settle": lambda: c.settle(driver, token, Complete()),
        "get": lambda: driver.get([job.key]),
        "pause": lambda: driver.pause(QUEUE, False),
        "open": unopened.open,
    }
    link.proxy.refusing = True
    await link.proxy.cut()
    for _ in range(2):  # the first finds a connection that is dead, the second none
        for name, call in calls.items():
            error = await _failure_of(name, call())
            if name == "enqueue":
                await _expect_truth(c, witness, job, error)
    link.heal()
    await insist(unopened.open)


async def _failure_of(name: str, call: Awaitable[Any]) -> DriverUnavailable:
    """Expect that a call to a store that is away fails as the contract says."""
    what = f"{name}, the store being away"
    try:
        answer = await call
    except DriverUnavailable as error:
        return error
    except Exception as error:
        raise Violation(what, "DriverUnavailable", repr(error)) from error
    raise Violation(what, "DriverUnavailable", f"the answer {answer!r}")


async def _expect_truth(c: Bench, witness: Driver, job: NewJob, error: DriverUnavailable) -> None:
    """Expect that the error of an enqueue has a cause, and is right about what was done."""
    expect_that("the client's own error is the __cause__", error.__cause__ is not None, repr(error))
    if not error.maybe_applied:
        state = await c.state(witness, job.key)
        expect("a job that was certainly not stored, as the error says", state, None)


async def _expect_right_answers(c: Bench, driver: Driver) -> None:
    """Do a job's whole life, with values that do not fit into one packet of anything."""
    text = b'"' + "Zürich, 東京. ".encode() * 100 + b'"'
    jobs = c.jobs(3, payload=text, tags=("a", "b"), metadata={"city": "Zürich"})
    await c.put(driver, *jobs)
    leases = await c.claim(driver)
    expect("the payloads", [lease.payload for lease in leases], [text] * 3)
    for lease in leases:
        await c.finish(driver, lease.token, Complete())
    records = await driver.get([job.key for job in jobs])
    seen = [record and (record.key, record.state, record.payload) for record in records]
    expect("the records", seen, [(job.key, JobState.COMPLETED, text) for job in jobs])


async def _expect_no_mixed_answers(c: Bench, link: Link, driver: Driver) -> None:
    """Cancel calls while their answers are on the way, and look whose answer comes next."""
    first, second = c.job(), c.job()
    await c.put(driver, first, second)
    link.proxy.delay = _SLOWER
    caught = 0
    for _ in range(c.pick(fast=3, full=20)):
        begun = link.proxy.exchanges
        call = asyncio.ensure_future(driver.get([first.key]))
        await asyncio.wait_for(link.proxy.begun(begun + 1), PATIENCE)
        await _expect_end("a call on a slow link, after its cancel", call)
        caught += call.cancelled()
        record = await c.record(driver, second.key)
        expect("whose record the call after a cancelled one returns", record.key, second.key)
    if not caught:
        raise Inconclusive("every call had ended before it could be cancelled")


async def _until_silent(link: Link, call: asyncio.Future[Any]) -> None:
    """Wait until the request of a call has gone into silence, or the call has failed."""
    reached = asyncio.ensure_future(link.proxy.reached(LinkFault.HALF_OPEN))
    try:
        await asyncio.wait({reached, call}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    finally:
        reached.cancel()
    happened = link.proxy.happened[LinkFault.HALF_OPEN]
    expect("how often the link went silent", happened, 1)


async def _expect_end(what: str, call: asyncio.Future[Any]) -> None:
    """Cancel a call, and expect that it ends: by the cancel, unavailable, or just before it."""
    call.cancel()
    await asyncio.wait({call}, timeout=PATIENCE)
    if not call.done():
        raise Violation(what, f"an end within {PATIENCE:g} s", "none")
    if not call.cancelled() and not isinstance(call.exception(), DriverUnavailable):
        call.result()
