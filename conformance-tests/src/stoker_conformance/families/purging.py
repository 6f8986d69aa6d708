"""INS: cleaning up: what a purge deletes, what is kept, and what must not be left behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from stoker.driver import (
    After,
    Complete,
    Driver,
    Fail,
    JobKey,
    JobQuery,
    JobState,
    Keep,
    KeepFor,
    Outcome,
    Retention,
    Retry,
)
from stoker_conformance.bench import ERROR, QUEUE, Bench, rounds
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that


@case(
    "INS-02",
    clauses=("purge.terminal_only", "purge.age", "purge.newest"),
    fix="Purge deletes terminal records only, by the policy of their state, and counts what it "
    "deleted; fewer than the limit means that nothing is left to delete.",
)
async def purge_takes_old_terminal_records_only(c: Bench) -> None:
    """A purge deletes what is too old or too many of each state, and never an active job."""
    driver = await c.driver()
    keys = await c.one_in_each_state(driver)
    [also_running] = await c.claim(driver)  # the ready one; another comes below
    active = [keys[JobState.RUNNING], keys[JobState.SCHEDULED], also_running.token.key]
    everything = Retention(*[Keep(newest=0)] * 3)
    expect(
        "purged: one of each terminal state", await _purge(c, driver, everything, now=c.at(1)), 3
    )

    times = [10, 20, 30, 40, 50]
    completed = [await _end(c, driver, Complete(), second) for second in times]
    failed = [await _end(c, driver, Fail(ERROR), 50 + second) for second in times]
    ready = c.job()
    revived = await _end(c, driver, Fail(ERROR), 110)
    await c.put(driver, ready, now=c.at(110))
    await driver.retry([revived], now=c.at(110))
    active += [ready.key, revived]
    now = c.at(110)
    expect("purged by a policy that keeps all", await _purge(c, driver, Retention(), now=now), 0)
    old = Retention(completed=Keep(max_age=timedelta(seconds=80)))
    expect("purged by age", await _purge(c, driver, old, now=now), 2)
    left = await _present(driver, completed)
    expect("completed jobs not older than 80 s", left, completed[2:])
    expect("failed jobs, which nothing purges", await _present(driver, failed), failed)
    newest = Retention(failed=Keep(newest=2))
    expect("purged by number", await _purge(c, driver, newest, now=now), 3)
    expect("the newest two", await _present(driver, failed), failed[3:])
    both = Retention(completed=Keep(timedelta(seconds=75), 1))
    await _purge(c, driver, both, now=now)
    expect("a record must satisfy both", await _present(driver, completed), completed[4:])
    expect("purged elsewhere", await driver.purge("parcels", everything, limit=10, now=now), 0)
    await _purge(c, driver, everything, now=now)
    expect("active jobs after a purge of all", await _present(driver, active), active)


@case(
    "INS-11",
    clauses=("purge.limit",),
    fix="A purge deletes no more than its limit, and says how many it deleted.",
)
async def a_purge_deletes_no_more_than_its_limit(c: Bench) -> None:
    """A purge deletes at most its limit, and as many as it says."""
    driver = await c.driver()
    many = [await _end(c, driver, Complete(), 0) for _ in range(7)]
    count = await driver.purge(QUEUE, Retention(completed=Keep(newest=0)), limit=3, now=c.now)
    expect_that("no more than the limit", 1 <= count <= 3, count)
    expect("records left", len(await _present(driver, many)), 7 - count)


@case(
    "INS-06",
    clauses=("footprint.constant",),
    fix="Something is left behind by every job: a key, an index entry, a message that was read "
    "but never deleted. Compare what the store holds after one job and after two.",
)
async def finished_jobs_leave_nothing_behind(c: Bench) -> None:
    """After twice as many jobs, completed and purged, the store holds no more than before."""
    driver = await c.driver()
    number = c.pick(fast=40, full=400)
    empty = await c.footprint()
    await _live_and_die(c, driver, number, start=0)
    once = await c.footprint()
    waiting = c.jobs(10)
    await c.put(driver, *waiting, now=c.at(100))
    expect_that("footprint counts jobs", await c.footprint() > empty, (empty, await c.footprint()))
    await driver.remove([job.key for job in waiting])
    await _live_and_die(c, driver, 2 * number, start=200)
    expect(f"the footprint after {3 * number} jobs, against {number}", await c.footprint(), once)


@case(
    "INS-09",
    clauses=("keep.removed", "keep.own_age"),
    fix="A job whose `keep` is zero for the state it ends in is deleted by the very step that "
    "ends it. Another `keep` counts alone: the queue's retention does not touch that record.",
)
async def a_job_may_say_how_long_it_is_kept(c: Bench) -> None:
    """keep = 0 removes the record as the job ends; another keep is purged at its own age."""
    driver = await c.driver()
    zero = timedelta(0)
    endings: dict[str, tuple[KeepFor, Outcome | None, JobState | None]] = {
        "completed": (KeepFor(completed=zero), Complete(), JobState.COMPLETED),
        "failed": (KeepFor(failed=zero), Fail(ERROR), JobState.FAILED),
        "last retry": (KeepFor(failed=zero), Retry(After(zero), ERROR), JobState.FAILED),
        "reaped": (KeepFor(failed=zero), None, None),
    }
    for what, (keep, outcome, expected) in endings.items():
        job = c.job(keep=keep, max_crashes=0)
        await c.put(driver, job)
        token = (await c.claim_one(driver)).token
        if outcome is None:
            expect("reaped", len(await c.reap(driver, now=c.at(60))), 1)
        else:
            expect(f"where {what} leads", await c.finish(driver, token, outcome), expected)
        expect(f"the record of a job not kept: {what}", await c.state(driver, job.key), None)
    pending = c.job(keep=KeepFor(cancelled=zero))
    await c.put(driver, pending)
    await driver.cancel([pending.key], reason="no", now=c.now)
    expect("a cancelled job not kept", await c.state(driver, pending.key), None)

    own = await _end(c, driver, Complete(), 0, keep=KeepFor(completed=timedelta(seconds=100)))
    plain = await _end(c, driver, Complete(), 0, keep=KeepFor(failed=zero))
    strict = Retention(completed=Keep(newest=1))
    await _purge(c, driver, strict, now=c.at(50))
    expect("kept at 50 s, newest=1", await _present(driver, [own, plain]), [own, plain])
    await _purge(c, driver, Retention(completed=Keep(newest=0)), now=c.at(50))
    expect("kept at 50 s, newest=0", await _present(driver, [own, plain]), [own])
    await _purge(c, driver, Retention(), now=c.at(100) - c.tick)
    expect("kept a tick before its age", await _present(driver, [own]), [own])
    await _purge(c, driver, Retention(), now=c.at(100))
    expect("kept at its age", await _present(driver, [own]), [])


async def _end(c: Bench, driver: Driver, outcome: Outcome, when: float, **fields: Any) -> JobKey:
    """Bring a job to its end at a given time, in a queue that has nothing else to claim."""
    job = c.job(**fields)
    ready = await c.claim(driver, now=c.at(when))
    expect("jobs in the way", [lease.token.key.id for lease in ready], [])
    await c.put(driver, job, now=c.at(when))
    lease = await c.claim_one(driver, now=c.at(when))
    await c.finish(driver, lease.token, outcome, now=c.at(when))
    return job.key


async def _purge(c: Bench, driver: Driver, policy: Retention, *, now: Any) -> int:
    """Purge until it says that it is done."""
    total = 0
    async for _ in rounds("a purge"):
        count = await driver.purge(QUEUE, policy, limit=2, now=now)
        total += count
        if count < 2:
            break
    return total


async def _present(driver: Driver, keys: Sequence[JobKey]) -> list[JobKey]:
    return [record.key for record in await driver.get(keys) if record is not None]


async def _search(driver: Driver, query: JobQuery) -> list[JobKey]:
    keys: list[JobKey] = []
    cursor: str | None = None
    async for _ in rounds("a search"):
        page = await driver.search(QUEUE, query, cursor)
        keys += [record.key for record in page.records]
        cursor = page.cursor
        if cursor is None:
            break
    return keys


async def _live_and_die(c: Bench, driver: Driver, number: int, start: float) -> None:
    """Let jobs be delayed, retried, reaped and completed, and purge them."""
    jobs = c.jobs(number, run_at=After(timedelta(seconds=1)), max_attempts=2)
    await c.put(driver, *jobs, now=c.at(start))
    await c.promote(driver, now=c.at(start + 1))
    for lease in await c.claim(driver, number, now=c.at(start + 1)):
        if int(lease.token.key.id[-1]) % 2:
            again = Retry(After(timedelta(0)), ERROR)
            await c.finish(driver, lease.token, again, now=c.at(start + 2))
    await c.reap(driver, now=c.at(start + 90))
    for lease in await c.claim(driver, number, now=c.at(start + 91)):
        await c.finish(driver, lease.token, Complete(), now=c.at(start + 92))
    await _purge(c, driver, Retention(*[Keep(newest=0)] * 3), now=c.at(start + 99))
    expect("records after the purge", await _search(driver, JobQuery()), [])
