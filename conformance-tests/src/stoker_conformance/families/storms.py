"""DUR: workers that die at any moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import partial
from itertools import count
from random import Random

from stoker.driver import (
    Complete,
    Driver,
    JobKey,
    JobState,
    Settlement,
    SettleStatus,
    Token,
    Want,
)
from stoker_conformance.bench import ERROR, LEASE, NOON, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that
from stoker_conformance.faults.insisting import insist
from stoker_conformance.waiting import eventually


@case(
    "DUR-02",
    clauses=("reap.survives", "token.ends_once", "claim.exclusive"),
    bound=90,
    fix="A worker died, and a job was lost, ended twice, or ended without having been run. Each "
    "operation has to be one atomic step in the store: there is no moment at which a process "
    "cannot vanish, and no code that runs afterwards.",
)
async def no_job_is_lost_in_a_storm(c: Bench) -> None:
    """Workers are killed at random moments; each job is completed once, and repeats have reaps.

    Workers reap, claim, run and settle, each by a clock of its own, so that they also reap each
    other alive. Half of them are killed while they do something, half while they stand still
    between two steps. What they say of a step before they begin it arrives even if they die in it.
    """
    for seed in range(c.pick(fast=1, full=3, soak=20)):
        await _storm(c, seed)


class _Step(Enum):
    """What a worker has done or, with `RUN`, begun."""

    REAPED = "reaped"
    CLAIMED = "claimed"
    RUN = "run"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class _Note:
    """What a worker says of its work."""

    step: _Step
    token: Token


async def _storm(c: Bench, seed: int) -> None:
    driver = await c.driver()
    jobs = c.jobs(c.pick(fast=40, full=150), max_crashes=1_000)
    await c.put(driver, *jobs)
    keys = [job.key for job in jobs]
    notes: list[_Note] = []
    places = range(c.pick(fast=2, full=3, soak=6))
    lives = (_work_and_die(c, f"{seed}-{place}", notes) for place in places)
    for outcome in await asyncio.gather(*lives, return_exceptions=True):
        if outcome is not None:
            raise outcome

    times = count(1_000, 1_000)

    async def all_completed() -> bool:
        """Do what is left, late enough for all leases to have expired."""
        notes.extend([note async for note in _work(driver, "the last", next(times))])
        states = await driver.states(keys)
        lost = [key for key, state in zip(keys, states, strict=True) if state is None]
        expect("jobs whose record is gone", lost, [])
        return set(states) == {JobState.COMPLETED}

    await eventually("every job is completed in the end", all_completed)
    await _expect_explained(c, driver, keys, notes)


async def _work_and_die(c: Bench, name: str, notes: list[_Note]) -> None:
    """Be a worker that is killed and started again, a few times."""
    random = Random(name)
    for life in range(c.pick(fast=2, full=3, soak=5)):
        actor = await c.actor()
        said, last = 0, random.randint(2, 25)
        hang_after = last if life % 2 else None
        async for note in actor.stream(_work_until, f"{name}-{life}", hang_after):
            notes.append(note)
            said += 1
            if said == last:
                await asyncio.sleep(random.random() * 0.003)
                await actor.kill()
        await actor.kill()


async def _work_until(
    driver: Driver, worker: str, hang_after: int | None
) -> AsyncGenerator[_Note, None]:
    """Work, and stand still for ever after so many notes."""
    said = 0
    async for note in _work(driver, worker, 0):
        yield note
        said += 1
        if said == hang_after:
            await asyncio.Event().wait()


async def _work(driver: Driver, worker: str, start: float) -> AsyncGenerator[_Note, None]:
    """Be a worker until there is nothing more to claim; the clock begins `start` s after noon."""
    random = Random(worker)
    now = NOON + timedelta(seconds=start)
    idle = 0
    while idle < 3:
        await asyncio.sleep(0)  # a driver that never suspends must not keep the case
        now += timedelta(seconds=random.randint(0, 40))
        none = timedelta(0)
        reap = partial(driver.reap, [QUEUE], limit=10, delay=none, error=ERROR, now=now)
        for reaped in await insist(reap):
            yield _Note(_Step.REAPED, reaped.lease.token)
        wants = [Want(QUEUE, random.randint(1, 6))]
        claim = partial(driver.claim, wants, worker=worker, lease=LEASE, now=now)
        tokens = [lease.token for lease in (await insist(claim)).leases]
        idle = 0 if tokens else idle + 1
        for token in tokens:
            yield _Note(_Step.CLAIMED, token)
        for token in tokens:
            yield _Note(_Step.RUN, token)
            settle = partial(driver.settle, [Settlement(token, Complete())], now=now)
            [answer] = await insist(settle)
            if answer.status in (SettleStatus.APPLIED, SettleStatus.ALREADY):
                yield _Note(_Step.COMPLETED, token)


async def _expect_explained(
    c: Bench, driver: Driver, keys: Iterable[JobKey], notes: list[_Note]
) -> None:
    """Compare what the workers said with the records of the jobs, all of which are completed."""
    said = {step: [note.token for note in notes if note.step is step] for step in _Step}
    for step in (_Step.REAPED, _Step.CLAIMED, _Step.COMPLETED):
        twice = [token for token, times in Counter(said[step]).items() if times > 1]
        expect(f"tokens that were {step.value} twice", twice, [])
    both = set(said[_Step.REAPED]) & set(said[_Step.COMPLETED])
    expect("tokens that were reaped and completed", both, set())

    claims = Counter(token.key for token in said[_Step.CLAIMED])
    for key in keys:
        record = await c.record(driver, key)
        completed = [token for token in said[_Step.COMPLETED] if token.key == key]
        last = Token(key, record.epoch)
        expect_that(
            "a completion was acknowledged for the last lease", completed in ([], [last]), completed
        )
        expect_that("the lease that completed a job was run", last in said[_Step.RUN], last)
        expect("the attempt of a job that never failed", record.attempt, 1)
        explained = claims[key] <= record.crashes + 1
        expect_that("a job runs again only after a reap", explained, (claims[key], record))
