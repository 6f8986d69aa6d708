"""CLM: who gets which job when the claimers are processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Final, cast

from stoker.driver import (
    Capability,
    Complete,
    Driver,
    Extension,
    JobState,
    Lease,
    Settlement,
    SettleStatus,
    Wakeup,
    Want,
)
from stoker.errors import DriverUnavailable
from stoker_conformance.bench import LEASE, QUEUE, Bench, rounds
from stoker_conformance.case import case
from stoker_conformance.expect import Violation, expect, expect_that
from stoker_conformance.faults.actors import Actor
from stoker_conformance.faults.insisting import insist

_AT_ONCE: Final = 10.0
"""Seconds after which a claim has been held up; nothing is measured, it should be milliseconds."""
_GLIMPSE: Final = 0.2
"""Seconds for which a claimer is stopped in the middle of something, and others try to claim."""
_MOST: Final = 1_000_000
"""How many claims it takes at most until there is nothing more."""


@case(
    "CLM-07",
    clauses=("claim.exclusive", "operation.concurrent"),
    bound=90,
    fix="Clients in several processes took the same job, or lost one. Whatever makes a claim "
    "exclusive has to live in the store: a lock or a set of this process protects nobody else.",
)
async def processes_share_no_job(c: Bench) -> None:
    """Processes that drain one queue together get every job exactly once."""
    driver = await c.driver()
    workers = await c.actors(c.pick(fast=2, full=8))
    number = len(workers) * c.pick(fast=150, full=2_000, soak=10_000)
    await _put_many(c, driver, number, QUEUE)
    drains = (worker.run(_drain, f"worker-{place}", c.now) for place, worker in enumerate(workers))
    ids = [job_id for batch in await asyncio.gather(*drains) for job_id in batch]

    # A claim may give nothing while others are at it, and one that failed may have taken some.
    await c.reap(driver, now=c.at(60))
    ids += await _drain(driver, "the last", c.at(60))
    times = Counter(ids)
    twice = sorted(job_id for job_id, runs in times.items() if runs > 1)
    expect("jobs that were run more than once", twice, [])
    expect("the number of jobs run", len(times), number)
    counts = (await driver.stats([QUEUE], cap=1_000_000, now=c.now))[QUEUE].counts
    expect("the number of jobs completed", counts[JobState.COMPLETED], number)


@case(
    "CLM-08",
    clauses=("claim.stalled", "claim.exclusive"),
    bound=60,
    fix="A client that does nothing for a while must hold nothing that others need: end the "
    "transaction and free every lock before an operation returns. What a claim has chosen must "
    "not be taken later, without looking again.",
)
async def a_stalled_claimer_blocks_nobody(c: Bench) -> None:
    """A claimer that is stopped does not keep others from claiming, and takes nothing twice.

    Between two operations it must hold nothing, so there others have to get their jobs while it
    stands still. In the middle of one it may hold what it touches, and where a store has a single
    writer that is everything; the contract bounds that time nowhere. So there others may have to
    wait until it goes on; what is asked is only that afterwards no job has been taken twice.
    """
    other, stalled = await c.driver(), await c.actor()
    await _stop_between_operations(c, stalled, other)
    await _stop_in_the_middle(c, stalled, other)


async def _stop_between_operations(c: Bench, stalled: Actor, other: Driver) -> None:
    claimer = stalled.driver
    leases: list[Lease] = []

    async def claim() -> None:
        await c.put(claimer, c.job())
        leases.append(await c.claim_one(claimer))

    async def claim_nothing() -> None:
        expect("jobs for a claim from an empty queue", await c.claim(claimer), [])

    async def extend() -> None:
        await claimer.extend([Extension(lease.token) for lease in leases], lease=LEASE, now=c.now)

    async def settle() -> None:
        await c.finish(claimer, leases.pop().token, Complete())

    async def wait() -> None:
        if Capability.WAKEUP in c.info.capabilities:
            await cast(Wakeup, claimer).wait([QUEUE], timedelta(milliseconds=1))

    moments: tuple[Callable[[], Awaitable[None]], ...] = (
        *(claim, claim_nothing, extend, claim, settle, wait),
    )
    for moment in moments:
        await moment()
        await stalled.stop()
        await c.put(other, *c.jobs(3))
        name = moment.__name__.replace("_", " ")
        what = f"claims while another client stands still after its {name}"
        expect(what, len(await _at_once(what, c.claim(other, 3))), 3)
        await stalled.resume()
    for lease in leases:
        await c.finish(claimer, lease.token, Complete())


async def _stop_in_the_middle(c: Bench, stalled: Actor, other: Driver) -> None:
    random = Random(1)
    await _put_many(c, other, c.pick(fast=300, full=2_000, soak=20_000), "parcels")
    mine: list[str] = []
    theirs: list[str] = []
    claiming = stalled.stream(_claim_one_by_one, "parcels", c.now)
    for _ in range(c.pick(fast=4, full=20, soak=400)):
        for _ in range(random.randint(1, 5)):
            theirs += [job_id async for job_id in _first(claiming)]
        await asyncio.sleep(random.random() * 0.002)
        await stalled.stop()
        claim = asyncio.ensure_future(_claim_if_possible(c, other, "parcels"))
        await asyncio.wait([claim], timeout=_GLIMPSE)
        await stalled.resume()
        mine += await _at_once("a claim after a stopped client went on", claim)
    theirs += [job_id async for job_id in claiming]
    twice = sorted(job_id for job_id, times in Counter(mine + theirs).items() if times > 1)
    expect("jobs that were taken more than once", twice, [])


async def _put_many(c: Bench, driver: Driver, number: int, queue: str) -> None:
    jobs = c.jobs(number, queue=queue)
    for start in range(0, number, 1_000):
        await c.put(driver, *jobs[start : start + 1_000])


async def _drain(driver: Driver, worker: str, now: datetime) -> list[str]:
    """Claim and complete until there is nothing; return the ids that were run."""
    ids: list[str] = []
    async for number in rounds("a claim", _MOST):
        wants = [Want(QUEUE, number % 25 + 1)]
        claimed = await insist(partial(driver.claim, wants, worker=worker, lease=LEASE, now=now))
        if not claimed.leases:
            break
        ids += [lease.token.key.id for lease in claimed.leases]
        items = [Settlement(lease.token, Complete()) for lease in claimed.leases]
        for answer in await insist(partial(driver.settle, items, now=now)):
            valid = answer.status in (SettleStatus.APPLIED, SettleStatus.ALREADY)
            expect_that("the settlement of a job that was just claimed is applied", valid, answer)
    return ids


async def _claim_one_by_one(driver: Driver, queue: str, now: datetime) -> AsyncGenerator[str, None]:
    """Claim until there is nothing; yield the ids."""
    async for _ in rounds("a claim", _MOST):
        wants = [Want(queue, 1)]
        claimed = await insist(partial(driver.claim, wants, worker="stalled", lease=LEASE, now=now))
        if not claimed.leases:
            break
        for lease in claimed.leases:
            yield lease.token.key.id


async def _claim_if_possible(c: Bench, driver: Driver, queue: str) -> list[str]:
    """Claim some; nothing, if that is not possible at this time."""
    try:
        claimed = await driver.claim([Want(queue, 3)], worker="other", lease=LEASE, now=c.now)
    except DriverUnavailable:
        return []
    return [lease.token.key.id for lease in claimed.leases]


async def _first(items: Any) -> AsyncGenerator[str, None]:
    """Yield the next item, if there is one."""
    async for item in items:
        yield item
        break


async def _at_once(what: str, claim: Awaitable[Any]) -> Any:
    try:
        return await asyncio.wait_for(claim, _AT_ONCE)
    except TimeoutError as error:
        raise Violation(what, "an answer at once", f"none within {_AT_ONCE:g} s") from error
