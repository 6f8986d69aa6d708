"""DLY: jobs that wait for a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from stoker.driver import After, At, JobState, Want, When
from stoker_conformance.bench import LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that, expect_unchanged

_ZONES: Final = (("JST-9", "Asia/Tokyo"), ("PET5", "America/Lima"), ("UTC0", "UTC"))
"""Zones as a process takes them, without a database of zones, and as stores know them."""


@case(
    "DLY-01",
    clauses=("time.never_early", "time.boundary", "claim.ready_only", "time.given_now"),
    fix="Compare with the `now` that was given, to the declared precision and rounded up: due is "
    "run_at <= now. Claim takes ready jobs only; promote alone makes a due job ready.",
)
async def a_job_is_never_early(c: Bench) -> None:
    """A job becomes claimable by a promote at its time, and not a tick before."""
    driver = await c.driver()
    for when in (After(timedelta(seconds=10.25)), At(c.at(10.25))):
        job = c.job(run_at=when)
        await c.put(driver, job)
        due = (await c.record(driver, job.key)).run_at
        expect(f"run_at of {when}", due, c.stored(c.at(10.25)))
        early = due - c.tick
        expect("promoted a tick too early", await c.promote(driver, now=early), 0)
        expect("claimed a tick too early", await c.claim_ids(driver, now=early), [])
        expect("claimed when due, before a promote", await c.claim_ids(driver, now=due), [])
        expect("its state until a promote", await c.state(driver, job.key), JobState.SCHEDULED)
        expect("promoted when due", await c.promote(driver, now=due), 1)
        record = await c.record(driver, job.key)
        expect("state and ready_at", (record.state, record.ready_at), (JobState.READY, due))
        expect("claimed when due", await c.claim_ids(driver, now=due), [job.key.id])


@case(
    "DLY-02",
    clauses=("promote.limit", "promote.loses_none"),
    fix="Take no more jobs out of the set of delayed ones than are made ready, in one atomic step.",
)
async def promote_loses_none_beyond_its_limit(c: Bench) -> None:
    """A promote moves at most its limit a queue, and the rest comes with the next."""
    driver = await c.driver()
    soon = After(timedelta(seconds=5))
    letters, parcels = c.jobs(25, run_at=soon), c.jobs(3, run_at=soon, queue="parcels")
    await c.put(driver, *letters, *parcels)
    now = c.at(5)
    promoted = await driver.promote([QUEUE, "parcels"], limit=10, now=now)
    states = await c.states(driver, [job.key for job in letters])
    expect_that(
        "a promote of 10 moves 10 letters at most", states.count(JobState.READY) <= 10, states
    )
    expect_that("it moves at least one job", promoted.count > 0, promoted)
    total = promoted.count + await c.promote(driver, queues=[QUEUE, "parcels"], now=now)

    expect("jobs promoted in all", total, 28)
    expect("letters", await c.claim_ids(driver, now=now), [job.key.id for job in letters])
    expect(
        "parcels",
        await c.claim_ids(driver, queue="parcels", now=now),
        [job.key.id for job in parcels],
    )


@case(
    "DLY-03",
    clauses=("promote.scheduled_only",),
    fix="Promote looks at the state: a job that is not scheduled any more stays as it is, however "
    "old its run_at.",
)
async def promote_touches_scheduled_jobs_only(c: Bench) -> None:
    """A promote leaves running, ready and terminal jobs as they are."""
    driver = await c.driver()
    keys = await c.one_in_each_state(driver)
    await driver.remove([keys.pop(JobState.SCHEDULED)])
    later = c.job(run_at=After(timedelta(days=2)))
    cancelled = c.job(run_at=After(timedelta(seconds=30)))
    await c.put(driver, later, cancelled)
    await driver.cancel([cancelled.key], reason="not wanted", now=c.now)
    before = [await c.record(driver, key) for key in (*keys.values(), later.key, cancelled.key)]

    expect("jobs that became ready", await c.promote(driver, now=c.at(86_400)), 0)
    for record in before:
        after = await c.record(driver, record.key)
        expect_unchanged(f"a {record.state} job after a promote", after, record)


@case(
    "DLY-04",
    clauses=("time.past",),
    fix="A run_at before the operation's now is stored as that now, and the job is ready.",
)
async def a_past_time_means_now(c: Bench) -> None:
    """A job for a time in the past is ready at once, with run_at = now."""
    driver = await c.driver()
    whens: list[When] = [
        At(c.at(-3600)),
        At(c.now),
        After(timedelta(0)),
        At(datetime.min.replace(tzinfo=UTC)),
    ]
    jobs = [c.job(run_at=when) for when in whens]
    await c.put(driver, *jobs)
    for job in jobs:
        record = await c.record(driver, job.key)
        seen = (record.state, record.run_at, record.ready_at)
        expect(f"a job for {job.run_at}", seen, (JobState.READY, c.now, c.now))
    expect("jobs to claim", len(await c.claim(driver)), len(jobs))


@case(
    "DLY-05",
    clauses=("time.precision",),
    fix="Store times as whole microseconds in a 64-bit integer, or in a type that keeps them; "
    "never as a float. Round up to the declared precision.",
)
async def times_are_exact(c: Bench) -> None:
    """Times are kept to the declared precision, rounded up, as far as the year 2200."""
    driver = await c.driver()
    for moment in (
        c.at(0.000001),
        c.at(0.999999),
        c.at(59.123457),
        datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC),
        datetime(2200, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ):
        job = c.job(run_at=At(moment), expires=At(moment), timeout=timedelta(microseconds=1234567))
        await c.put(driver, job)
        record = await c.record(driver, job.key)
        expect(f"run_at of a job for {moment.isoformat()}", record.run_at, c.stored(moment))
        expect("expires", record.expires, c.stored(moment))
        expect("timeout", record.timeout, timedelta(microseconds=1234567))
        early = record.run_at - c.tick
        if early > c.now:
            expect("promoted a tick early", await c.promote(driver, now=early), 0)
        expect("promoted when due", await c.promote(driver, now=record.run_at), 1)


@case(
    "DLY-06",
    clauses=("next_due.exact",),
    fix="next_due_in is the least run_at of the scheduled jobs of the queues asked, paused ones "
    "too, minus now; zero when that is past, None when there is none.",
)
async def next_due_in_is_exact(c: Bench) -> None:
    """Claim and promote tell exactly when the next scheduled job is due."""
    driver = await c.driver()

    async def expect_due(what: str, seconds: float | None, *queues: str, now: float = 0) -> None:
        expected = None if seconds is None else timedelta(seconds=seconds)
        claimed = await driver.claim(
            [Want(queue, 1) for queue in queues], worker="worker-1", lease=LEASE, now=c.at(now)
        )
        expect(f"next_due_in of a claim, {what}", claimed.next_due_in, expected)

    await c.put(driver, c.job())
    await expect_due("nothing scheduled", None, QUEUE)
    await c.put(
        driver,
        c.job(run_at=After(timedelta(seconds=30))),
        c.job(run_at=After(timedelta(seconds=10))),
        c.job(run_at=After(timedelta(seconds=5)), queue="parcels"),
    )
    await expect_due("two are scheduled", 10, QUEUE)
    await expect_due("four seconds later", 6, QUEUE, now=4)
    await expect_due("of two queues", 5, QUEUE, "parcels")
    await driver.pause("parcels", True)
    await expect_due("one of them paused", 5, QUEUE, "parcels")
    await expect_due("a job is due", 0, QUEUE, now=10)
    await expect_due("a job is overdue", 0, QUEUE, now=12)

    promoted = await driver.promote([QUEUE], limit=10, now=c.at(12))
    expect("next_due_in of a promote", promoted.next_due_in, timedelta(seconds=18))
    promoted = await driver.promote([QUEUE], limit=10, now=c.at(30))
    expect("next_due_in of the last promote", promoted.next_due_in, None)
    promoted = await driver.promote(["parcels"], limit=10, now=c.at(1))
    expect("next_due_in of a promote of a paused queue", promoted.next_due_in, timedelta(seconds=4))
    expect(
        "promoted in a paused queue", await c.promote(driver, now=c.at(5), queues=["parcels"]), 1
    )


@case(
    "DLY-07",
    clauses=("time.zones",),
    fix="Nothing may depend on a zone of the process or of the store's session. Use aware "
    "datetimes and types with a zone (or microseconds since 1970); a naive one is local time.",
)
async def local_time_does_not_matter(c: Bench) -> None:
    """Times are the same for clients whose process or session lives in another zone than UTC."""
    job = c.job(run_at=At(c.at(600)), expires=At(c.at(7_200)))
    for number, (zone, name) in enumerate(_ZONES):
        await c.harness.set_time_zone(c.namespace, name)
        with _living_in(c, zone):
            driver = await c.driver()
            if number == 0:
                await c.put(driver, job)
            record = await c.record(driver, job.key)
            times = (record.enqueued_at, record.run_at, record.expires)
            expect(f"times as seen from {name}", times, (c.now, c.at(600), c.at(7_200)))
            early = await c.promote(driver, now=c.at(600) - c.tick)
            expect(f"promoted a tick early in {name}", early, 0)
    with _living_in(c, _ZONES[0][0]):
        driver = await c.driver()
        expect("promoted when due", await c.promote(driver, now=c.at(600)), 1)
        lease = await c.claim_one(driver, now=c.at(600))
        expect("expires_at", lease.expires_at, c.stored(c.at(600) + LEASE))
    with _living_in(c, _ZONES[1][0]):
        driver = await c.driver()
        early_reap = await c.reap(driver, now=lease.expires_at - c.tick)
        expect("reaped a tick early by a client elsewhere", early_reap, [])
        reaped = await c.reap_one(driver, now=lease.expires_at)
        seen = (reaped.lease.claimed_at, reaped.lease.run_at)
        expect("claimed_at and run_at of the lease that was reaped", seen, (c.at(600), c.at(600)))


@case(
    "DLY-08",
    clauses=("claim.no_head_of_line",),
    fix="A claim has to look for ready jobs only, not at the head of one list of all jobs.",
)
async def a_delayed_head_blocks_nobody(c: Bench) -> None:
    """Jobs that wait for a time do not hold up the ready ones behind them."""
    driver = await c.driver()
    delayed = c.jobs(c.pick(fast=50, full=500), run_at=After(timedelta(hours=1)))
    ready = c.jobs(3)
    await c.put(driver, *delayed)
    await c.put(driver, *ready)
    expect("jobs claimed", await c.claim_ids(driver), [job.key.id for job in ready])


@case(
    "DLY-09",
    clauses=("time.zones",),
    fix="Convert aware datetimes to one zone (or to microseconds since 1970) before storing.",
)
async def a_time_in_any_zone_is_the_same_time(c: Bench) -> None:
    """Times and `now` may come in any zone, and mean the same instant."""
    driver = await c.driver()
    tokyo, lima = timezone(timedelta(hours=9)), timezone(timedelta(hours=-5))
    job = c.job(run_at=At(c.at(600).astimezone(tokyo)))
    await c.put(driver, job, now=c.now.astimezone(lima))
    record = await c.record(driver, job.key)
    times = (record.enqueued_at, record.run_at)
    expect("enqueued_at and run_at", times, (c.now, c.at(600)))
    early = (c.at(600) - c.tick).astimezone(lima)
    expect("promoted a tick early", await c.promote(driver, now=early), 0)
    expect("promoted when due", await c.promote(driver, now=c.at(600).astimezone(tokyo)), 1)


@contextmanager
def _living_in(c: Bench, zone: str) -> Iterator[None]:
    """Move this process to a time zone, for the length of a block."""
    if not hasattr(time, "tzset"):
        c.remark("DLY-07: the zone of a process cannot be changed here")
        yield
        return
    before = os.environ.get("TZ")
    try:
        _move_to(zone)
        yield
    finally:
        _move_to(before)


def _move_to(zone: str | None) -> None:
    if zone is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = zone
    time.tzset()
