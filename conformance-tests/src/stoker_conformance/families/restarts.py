"""RST: the store is killed and started again, and what was acknowledged is there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, TypeVar, cast

from stoker.driver import (
    At,
    Capability,
    Complete,
    Driver,
    Durability,
    EnqueueStatus,
    ExtendStatus,
    JobRecord,
    JobState,
    NewJob,
    Schedule,
    Schedules,
    Scope,
    Settlement,
    SettleStatus,
    Token,
    Unique,
)
from stoker.errors import DriverUnavailable
from stoker_conformance.bench import QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import Inconclusive, expect, expect_that, expect_unchanged
from stoker_conformance.faults.insisting import insist
from stoker_conformance.harness import NotOffered
from stoker_conformance.runner import NotRequired
from stoker_conformance.waiting import eventually

T = TypeVar("T")

_NEEDS: Final = (Capability.DURABLE_RESTART,)
_SHUT: Final = "a paused queue"
_EMPTY: Final = "an emptied queue"
_BEFORE: Final = 20
"""How many of each kind are acknowledged before the store is killed."""
_AFTER: Final = 10
"""How many more a client does that has met the restart."""


@case(
    "RST-01",
    clauses=("restart.keeps", "epoch.rises"),
    needs=_NEEDS,
    scope=Scope.HOST,
    bound=60,
    fix="Something lives in the server's memory, or is written after it was acknowledged: a "
    "record, a counter, a pause, a schedule, a key. A restart must not be noticed but by an error.",
)
async def everything_survives_a_restart(c: Bench) -> None:
    """After a restart of the idle store everything is as before, for old clients and new ones."""
    writer, old = await c.actor(), await c.driver()
    before = await _fill(c, writer.driver)
    await writer.kill()
    await c.harness.restart_backend()

    clients = [old, await c.driver()] if c.info.scope is Scope.NETWORK else [await c.driver()]
    for client in clients:
        await _expect_kept(c, client, before)
    await _expect_to_go_on(c, clients[-1], before)


@case(
    "RST-02",
    clauses=("restart.under_load", "failure.resend"),
    needs=_NEEDS,
    scope=Scope.HOST,
    bound=90,
    fix="An answer was given before its effect was durable, or the effect of a request that was "
    "cut is neither whole nor nothing. Answer after the store has written to disk.",
)
async def acknowledged_work_survives_a_restart(c: Bench) -> None:
    """Killed in the middle of work, the store has what it acknowledged; re-sends do the rest."""
    witness = await c.driver()
    jobs = c.jobs(c.pick(fast=500, full=1_000), queue="arrivals")
    await c.put(witness, *c.jobs(len(jobs)))
    tokens = [lease.token for lease in await c.claim(witness, len(jobs))]
    producer, worker = await c.actors(2)
    made = producer.stream(_enqueue_one_by_one, jobs, c.now)
    ended = worker.stream(_settle_one_by_one, tokens, c.now)
    stored = [await anext(made) for _ in range(_BEFORE)]
    settled = [await anext(ended) for _ in range(_BEFORE)]
    await c.harness.restart_backend()
    if c.info.scope is not Scope.NETWORK:  # clients on the machine of the store die with it
        await producer.kill()
        await worker.kill()
    stored += [mark async for mark in made]
    settled += [mark async for mark in ended]
    _expect_hit(c, stored, settled)

    witness = await c.driver()
    states = await c.states(witness, [jobs[mark.place].key for mark in stored])
    expect("jobs whose enqueue was acknowledged", set(states), {JobState.READY})
    states = await c.states(witness, [tokens[mark.place].key for mark in settled])
    expect("jobs whose completion was acknowledged", set(states), {JobState.COMPLETED})
    for job in jobs[: len(stored) + 1]:  # the one in flight is repaired, the others are known
        [answer] = await witness.enqueue([job], now=c.now)
        expect("an enqueue sent again", answer.status, EnqueueStatus.INSERTED)
    for token in tokens[: len(settled) + 1]:
        again = await c.settle(witness, token, Complete())
        done = again.status in (SettleStatus.APPLIED, SettleStatus.ALREADY)
        expect_that("a completion sent again is APPLIED or ALREADY", done, again)
    arrived = await c.claim_ids(witness, len(jobs), queue="arrivals")
    expect("each job, once", arrived, sorted(job.key.id for job in jobs[: len(stored) + 1]))


@case(
    "RST-03",
    clauses=("epoch.outlives_tail", "epoch.rises"),
    scope=Scope.NETWORK,
    bound=60,
    fix="An epoch was issued twice: the counter was lost with the last writes. Begin it anew at "
    "every start of the store, higher than all before: the microseconds since 1970 will do.",
)
async def tokens_do_not_outlive_what_they_were_issued_for(c: Bench) -> None:
    """After a restart that lost the last writes, tokens from before are STALE or GONE."""
    if c.info.durability is Durability.DURABLE:
        raise NotRequired(f"{c.info.name} loses nothing: it is durable")
    driver = await c.driver()
    kept, lost = c.job("kept"), c.job("lost")
    await c.put(driver, kept)
    try:
        await c.harness.checkpoint_backend()
        old = {kept.key: (await c.claim_one(driver)).token}
        await c.put(driver, lost)
        old[lost.key] = (await c.claim_one(driver)).token
        await c.harness.rewind_backend()
    except NotOffered as reason:
        raise NotRequired(str(reason)) from reason

    driver = await c.driver()
    [before, gone] = await driver.get([kept.key, lost.key])
    if gone is not None or (before is not None and before.state is JobState.RUNNING):
        raise Inconclusive("the rewind of the store has lost nothing")
    answer = await c.settle(driver, old[lost.key], Complete())
    expect("a token whose job was lost", answer.status, SettleStatus.GONE)
    await c.put(driver, kept, lost)
    new = {lease.token.key: lease.token for lease in await c.claim(driver, worker="worker-2")}
    expect("the jobs that can be claimed again", set(new), set(old))
    for key, token in old.items():
        held = await c.record(driver, key)
        expect_that("the new epoch is greater", new[key].epoch > token.epoch, (token, new[key]))
        answer = await c.settle(driver, token, Complete())
        expect("a completion by the old token", answer.status, SettleStatus.STALE)
        extended = await c.extend(driver, token, now=c.at(5))
        expect("an extend by the old token", extended.status, ExtendStatus.STALE)
        expect("the job of the new one", await c.record(driver, key), held)
        await c.finish(driver, new[key], Complete())


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a store held before its restart."""

    records: list[JobRecord]
    """Of a job in each state, in the queue of the cases."""
    last: Token
    """The last token of a queue whose only job was removed."""
    shut: NewJob
    """The job of a queue that is paused."""
    unique: NewJob | None
    """A job that holds its unique key, where the driver has them."""
    schedules: list[Schedule]


async def _fill(c: Bench, driver: Driver) -> _Contents:
    """Put something of everything into the store."""
    keys = await c.one_in_each_state(driver, tags=("a",), metadata={"b": "c"})
    records = [await c.record(driver, key) for key in keys.values()]
    removed, shut = c.job(queue=_EMPTY), c.job(queue=_SHUT)
    await c.put(driver, removed, shut)
    last = (await c.claim_one(driver, queue=_EMPTY)).token
    await driver.remove([removed.key])
    await driver.pause(_SHUT, True)
    unique = None
    if Capability.UNIQUE in c.info.capabilities:
        unique = c.job(queue="keys", unique=Unique("key"))
        await c.put(driver, unique)
    if Capability.SCHEDULE in c.info.capabilities:
        put = cast(Schedules, driver).put_schedule
        await put(QUEUE, "daily", b'{"at": 7}', At(c.at(3_600)), now=c.now)
    return _Contents(records, last, shut, unique, await _schedules(c, driver))


async def _expect_kept(c: Bench, driver: Driver, before: _Contents) -> None:
    """Expect that a client finds everything, after the restart, without any change by it."""
    keys = [record.key for record in before.records]
    records = await insist(partial(driver.get, keys))
    for record, was in zip(records, before.records, strict=True):
        expect_unchanged(f"the {was.state} job", record, was)
    expect("the schedules", await _schedules(c, driver), before.schedules)
    expect("claims from the paused queue", await c.claim_ids(driver, queue=_SHUT), [])
    stats = (await driver.stats([_SHUT], now=c.now))[_SHUT]
    expect("whether it is paused, as the stats say", stats.paused, True)
    if before.unique is not None:
        rival = c.job(queue="keys", unique=Unique("key"))
        [answer] = await driver.enqueue([rival], now=c.now)
        holder = (answer.status, answer.existing)
        conflict = (EnqueueStatus.UNIQUE_CONFLICT, before.unique.key.id)
        expect("an enqueue with the key that is held", holder, conflict)


async def _expect_to_go_on(c: Bench, driver: Driver, before: _Contents) -> None:
    """Expect that work goes on where it was: with the leases and counters from before."""
    tokens = {record.state: Token(record.key, record.epoch) for record in before.records}
    again = await c.settle(driver, tokens[JobState.COMPLETED], Complete())
    expect("a completion from before, sent again", again.status, SettleStatus.ALREADY)
    state = await c.finish(driver, tokens[JobState.RUNNING], Complete())
    expect("where the lease from before leads to", state, JobState.COMPLETED)
    ready = next(record for record in before.records if record.state is JobState.READY)
    expect("claimed", await c.claim_ids(driver), [ready.key.id])
    await c.put(driver, c.job(before.last.key.id, queue=_EMPTY))
    token = (await c.claim_one(driver, queue=_EMPTY)).token
    rises = token.epoch > before.last.epoch
    expect_that("the next epoch of a queue is greater", rises, (before.last, token))
    await driver.pause(_SHUT, False)
    expect("claimed after the resume", await c.claim_ids(driver, queue=_SHUT), [before.shut.key.id])


async def _schedules(c: Bench, driver: Driver) -> list[Schedule]:
    if Capability.SCHEDULE not in c.info.capabilities:
        return []
    return (await cast(Schedules, driver).list_schedules([QUEUE], now=c.now)).schedules


@dataclass(frozen=True, slots=True)
class _Done:
    """What a client says of an item when it was acknowledged."""

    place: int
    """Which item it was."""
    failures: int
    """How often sending it failed before."""


async def _enqueue_one_by_one(
    driver: Driver, jobs: Sequence[NewJob], now: datetime
) -> AsyncGenerator[_Done, None]:
    """Enqueue jobs; yield what is acknowledged."""

    async def enqueue(job: NewJob) -> None:
        [answer] = await driver.enqueue([job], now=now)
        expect("the answer to an enqueue", answer.status, EnqueueStatus.INSERTED)

    async for done in _one_by_one(jobs, enqueue):
        yield done


async def _settle_one_by_one(
    driver: Driver, tokens: Sequence[Token], now: datetime
) -> AsyncGenerator[_Done, None]:
    """Complete jobs; yield what is acknowledged."""

    async def settle(token: Token) -> None:
        [answer] = await driver.settle([Settlement(token, Complete())], now=now)
        applied = answer.status in (SettleStatus.APPLIED, SettleStatus.ALREADY)
        expect_that("the answer to a completion is APPLIED or ALREADY", applied, answer)

    async for done in _one_by_one(tokens, settle):
        yield done


async def _one_by_one(
    items: Sequence[T], send: Callable[[T], Awaitable[None]]
) -> AsyncGenerator[_Done, None]:
    """Send each item until it is answered; end soon after a restart was met."""
    left: int | None = None
    for place, item in enumerate(items):
        failures = 0

        async def is_answered(item: T = item) -> bool:
            nonlocal failures
            try:
                await send(item)
            except DriverUnavailable:
                failures += 1
                return False
            return True

        await eventually("an answer, sent again and again", is_answered)
        yield _Done(place, failures)
        if failures and left is None:
            left = _AFTER
        elif left is not None:
            left -= 1
            if not left:
                return


def _expect_hit(c: Bench, *done: Sequence[_Done]) -> None:
    """Leave it open what was seen if the store was killed when nobody used it."""
    if c.info.scope is Scope.NETWORK and not any(one.failures for some in done for one in some):
        raise Inconclusive("all work was done before the store was killed")
