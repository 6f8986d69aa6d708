"""RPR: what happens to jobs whose worker is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from stoker.driver import (
    After,
    Complete,
    Driver,
    JobKey,
    JobState,
    Reaped,
    Release,
    Retry,
    Settlement,
    SettleStatus,
    Token,
)
from stoker_conformance.bench import ERROR, QUEUE, Bench, rounds
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that, expect_unchanged

T = TypeVar("T")


@case(
    "RPR-01",
    clauses=("reap.guarded", "token.ends_once"),
    fix="Settle and reap change a running row only where epoch and state still match, in one "
    "atomic statement each; a read followed by a write lets both win.",
)
async def reap_and_complete_have_one_winner(c: Bench) -> None:
    """When a reap and a Complete meet at any offset, exactly one of them ends the lease."""
    worker, reaper = await c.drivers(2)
    for offset in range(-c.pick(fast=15, full=60), c.pick(fast=15, full=60)):
        job = c.job()
        await c.put(worker, job)
        token = (await c.claim_one(worker)).token
        settled, reaped = await asyncio.gather(
            _delayed(offset, worker.settle([Settlement(token, Complete())], now=c.at(60))),
            _delayed(
                -offset,
                reaper.reap([QUEUE], limit=5, delay=timedelta(0), error=ERROR, now=c.at(60)),
            ),
        )
        state = await c.state(worker, job.key)
        seen = (settled[0].status, len(reaped), state)
        winners = (
            (SettleStatus.APPLIED, 0, JobState.COMPLETED),
            (SettleStatus.STALE, 1, JobState.READY),
        )
        expect_that(
            f"either settle or reap ends the lease (offset {offset})", seen in winners, seen
        )
        await worker.remove([job.key])


@case(
    "RPR-02",
    clauses=("reap.counts_crash", "reap.refunds_attempt", "reap.budget", "reap.error"),
    fix="A reap counts up `crashes`, takes the attempt back, keeps the error, and fails the job "
    "when crashes > max_crashes: a job that kills its workers must end, and one whose worker was "
    "killed must not lose a try.",
)
async def a_job_that_kills_its_workers_ends(c: Bench) -> None:
    """A reap burns no attempt; when crashes exceed max_crashes the job fails."""
    driver = await c.driver()
    job = c.job(max_attempts=2, max_crashes=2)
    await c.put(driver, job)
    for crash, expected in enumerate([JobState.READY, JobState.READY, JobState.FAILED], start=1):
        lease = await c.claim_one(driver, now=c.at(100 * crash))
        expect("attempt and crashes of the lease", (lease.attempt, lease.crashes), (1, crash - 1))
        reaped = await c.reap_one(driver, now=c.at(100 * crash + 60))
        expect(f"where crash {crash} leads", reaped.state, expected)
        expect("the crashes that the reap tells", reaped.lease.crashes, crash)
        record = await c.record(driver, job.key)
        counters = (record.state, record.attempt, record.crashes)
        expect("state, attempt and crashes of the record", counters, (expected, 0, crash))
        expect("the errors kept", record.errors, (ERROR,) * crash)
    expect("when it failed", (await c.record(driver, job.key)).finished_at, c.at(360))
    expect("claimed after it failed", await c.claim_ids(driver, now=c.at(999)), [])

    brittle = c.job(max_crashes=0)
    await c.put(driver, brittle)
    await c.claim_one(driver)
    reaped = await c.reap_one(driver, now=c.at(60))
    expect("the first crash with max_crashes=0", reaped.state, JobState.FAILED)


@case(
    "RPR-03",
    clauses=("reap.counts_crash", "reap.refunds_attempt", "reap.returns"),
    fix="Between claim and settlement everything that is known of a job has to be in the store: "
    "the worker may be gone, and only the reap of its lease tells.",
)
async def the_job_of_a_killed_worker_comes_back(c: Bench) -> None:
    """The job of a killed worker comes back by reap: a crash is counted, an attempt is not."""
    worker, other = await c.actor(), await c.driver()
    job = c.job(max_attempts=2)
    await c.put(other, job)
    first = await c.claim_one(worker.driver, worker="worker-that-dies")
    await worker.kill()

    expect("the job after its worker's death", await c.state(other, job.key), JobState.RUNNING)
    expect("reaped before the lease expires", await c.reap(other, now=c.at(59)), [])
    reaped = await c.reap_one(other, now=c.at(60))
    seen = (reaped.lease.token, reaped.worker, reaped.state, reaped.lease.crashes)
    expected = (first.token, "worker-that-dies", JobState.READY, 1)
    expect("token, worker, state and crashes of the reap", seen, expected)
    again = await c.claim_one(other, now=c.at(61))
    counters = (again.attempt, again.crashes, again.payload)
    expect("attempt, crashes and payload of the next lease", counters, (1, 1, job.payload))
    state = await c.finish(other, again.token, Complete(), now=c.at(62))
    expect("the state in the end", state, JobState.COMPLETED)


@case(
    "RPR-04",
    clauses=("reap.once",),
    fix="Two reapers ended the same lease: find and end expired leases in one atomic step.",
)
async def reapers_share_no_lease(c: Bench) -> None:
    """Reapers that run at the same time return each expired lease exactly once."""
    clients = await c.drivers(4)
    number = c.pick(fast=60, full=400)
    await c.put(clients[0], *c.jobs(number))
    leases = await c.claim(clients[0], number)
    batches = await asyncio.gather(*(_reap_until_empty(c, client) for client in clients))

    reaped = sorted(lease.lease.token for batch in batches for lease in batch)
    tokens = sorted(lease.token for lease in leases)
    expect_that("every lease was reaped once", reaped == tokens, (len(reaped), len(tokens)))
    again = await c.claim(clients[0], number, now=c.at(61))
    expect("their crashes", {lease.crashes for lease in again}, {1})
    expect("jobs that came back", len(again), number)


@case(
    "RPR-05",
    clauses=("reap.limit",),
    fix="A reap ends no more leases of a queue than its limit, and returns all that it ended.",
)
async def a_reap_ends_no_more_than_its_limit(c: Bench) -> None:
    """A reap ends at most its limit of each queue; the next goes on where it stopped."""
    driver = await c.driver()
    letters, parcels = c.jobs(7), c.jobs(2, queue="parcels")
    await c.put(driver, *letters, *parcels)
    await c.claim(driver)
    await c.claim(driver, queue="parcels")
    queues = [QUEUE, "parcels"]
    first = await driver.reap(queues, limit=3, delay=timedelta(0), error=ERROR, now=c.at(60))
    of_letters = [reaped for reaped in first if reaped.lease.token.key.queue == QUEUE]
    expect_that("three letters at most", len(of_letters) <= 3, first)
    expect_that("at least one lease", len(first) > 0, first)
    states = await c.states(driver, [job.key for job in letters])
    expect("letters that do not run any more", states.count(JobState.READY), len(of_letters))
    rest = await c.reap(driver, now=c.at(60), queues=queues)
    expect("leases in all", len(first) + len(rest), 9)
    await c.put(driver, c.job(queue="other"))
    await c.claim_one(driver, queue="other")
    expect("leases of queues not asked", await c.reap(driver, now=c.at(60), queues=queues), [])


@case(
    "RPR-06",
    clauses=("reap.expired_only", "reap.guarded"),
    fix="A reap looks at state and expiry of the row itself, in the statement that changes it. "
    "What settled, or was extended, is not its business; a job that came back must not be "
    "counted as crashed.",
)
async def a_reap_touches_expired_leases_only(c: Bench) -> None:
    """Live leases, and jobs that do not run, are left exactly as they are."""
    driver = await c.driver()
    keys: list[JobKey] = []
    outcomes = (Release(After(timedelta(0))), Retry(After(timedelta(hours=2)), ERROR))
    for outcome in outcomes:  # jobs whose lease ended before it expired
        job = c.job(max_attempts=3, queue="parcels")
        await c.put(driver, job)
        token = (await c.claim_one(driver, queue="parcels")).token
        await c.finish(driver, token, outcome)
        keys.append(job.key)
    states = await c.one_in_each_state(driver)
    keys += states.values()
    running = await c.record(driver, states[JobState.RUNNING])
    before = [await c.record(driver, key) for key in keys]
    queues = [QUEUE, "parcels"]
    early = await c.reap(driver, now=c.at(60) - c.tick, queues=queues)
    expect("reaped while the only lease holds", early, [])
    for record in before:
        after = await c.record(driver, record.key)
        expect_unchanged(f"a {record.state} job after an early reap", after, record)

    late = await c.reap(driver, now=c.at(3_000), queues=queues)
    expected = [Token(running.key, running.epoch)]
    expect("the leases reaped later", [reaped.lease.token for reaped in late], expected)
    for record in before:
        if record.key != running.key:
            after = await c.record(driver, record.key)
            expect_unchanged(f"a {record.state} job after a reap", after, record)


@case(
    "RPR-07",
    clauses=("reap.delay",),
    fix="A reaped job with a delay is scheduled at now + delay; without one it is ready.",
)
async def a_reaped_job_waits_for_its_delay(c: Bench) -> None:
    """A reap with a delay leads to scheduled, and the job comes back after the delay."""
    driver = await c.driver()
    job = c.job()
    await c.put(driver, job)
    await c.claim_one(driver)
    reaped = await c.reap_one(driver, now=c.at(60), delay=timedelta(seconds=10))
    record = await c.record(driver, job.key)
    seen = (reaped.state, record.state, record.run_at)
    expect("its state and run_at", seen, (JobState.SCHEDULED, JobState.SCHEDULED, c.at(70)))
    expect("promoted too early", await c.promote(driver, now=c.at(70) - c.tick), 0)
    expect("promoted in time", await c.promote(driver, now=c.at(70)), 1)
    expect("claimed", await c.claim_ids(driver, now=c.at(70)), [job.key.id])


async def _delayed(turns: int, operation: Awaitable[T]) -> T:
    """Await an operation after so many turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
    return await operation


async def _reap_until_empty(c: Bench, driver: Driver) -> list[Reaped]:
    total: list[Reaped] = []
    async for _ in rounds("a reap"):
        batch = await driver.reap([QUEUE], limit=7, delay=timedelta(0), error=ERROR, now=c.at(60))
        total += batch
        if not batch:
            break
    return total
