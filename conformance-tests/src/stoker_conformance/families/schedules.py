"""SCH: recurring jobs without a leader and without a double fire."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final, Protocol, cast

from stoker.driver import (
    After,
    At,
    Capability,
    Driver,
    Enqueued,
    EnqueueStatus,
    Fired,
    FireStatus,
    JobState,
    Schedule,
    Schedules,
    Unique,
    When,
)
from stoker_conformance.bench import QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that

_NEEDS: Final = (Capability.SCHEDULE,)


class _ScheduleDriver(Driver, Schedules, Protocol):
    """A driver with this capability."""


@case(
    "SCH-01",
    clauses=("schedule.once", "operation.concurrent"),
    needs=_NEEDS,
    fix="Fire compares the version and enqueues in one atomic step; whoever comes second finds "
    "another version.",
)
async def two_workers_fire_a_tick_once(c: Bench) -> None:
    """Workers that fire the same tick at once: one fires, the others conflict, one job is there."""
    drivers = [await _driver(c) for _ in range(4)]
    for number in range(c.pick(fast=10, full=50)):
        name, tick = f"tick-{number}", c.job()
        put = await _put(c, drivers[0], name, c.now)
        fired = await asyncio.gather(
            *(
                driver.fire_schedule(QUEUE, name, put.version, c.at(3_600), [tick], now=c.now)
                for driver in drivers
            )
        )
        statuses = sorted(answer.status.name for answer in fired)
        expect("the answers", statuses, ["CONFLICT", "CONFLICT", "CONFLICT", "FIRED"])
        expect("jobs", await c.claim_ids(drivers[0]), [tick.key.id])
        rows = [answer.schedule for answer in fired]
        expect_that("all tell the same row", all(row == rows[0] for row in rows), rows)


@case(
    "SCH-02",
    clauses=("schedule.fire", "schedule.duplicates"),
    needs=_NEEDS,
    fix="The tick and its jobs are stored in one step. A job that is a duplicate, or loses its "
    "unique key, is answered as such, and the schedule advances all the same.",
)
async def a_fire_advances_and_enqueues(c: Bench) -> None:
    """A fire stores its jobs and moves the schedule on, also when its jobs are duplicates."""
    driver = await _driver(c)
    put = await _put(c, driver, "daily", c.at(10))
    job = c.job("daily-1", run_at=After(timedelta(seconds=5)))
    fired = await driver.fire_schedule(
        QUEUE, "daily", put.version, c.at(20), [job, c.job()], now=c.at(12)
    )
    expect("the status", fired.status, FireStatus.FIRED)
    expect("the store's now", fired.now, c.at(12))
    expect("the answers", fired.enqueued, [Enqueued(EnqueueStatus.INSERTED)] * 2)
    _expect_row(fired.schedule, next_at=c.at(20), last_at=c.at(10), count=1)
    expect("the job", (await c.record(driver, job.key)).run_at, c.at(17))
    lost = await _list_one(c, driver, 12)  # what a worker sees whose answer was lost
    expect("the row that others see", lost, fired.schedule)
    again = await _fire(driver, put, c.at(20), c.at(20))
    expect("the old version once more", again.status, FireStatus.CONFLICT)

    jobs = [c.job("daily-1")]
    expected = [EnqueueStatus.DUPLICATE_ID]
    if Capability.UNIQUE in c.info.capabilities:
        await c.put(driver, c.job("holder", unique=Unique("key")))
        jobs.append(c.job("loser", unique=Unique("key")))
        expected.append(EnqueueStatus.UNIQUE_CONFLICT)
    fired = await driver.fire_schedule(QUEUE, "daily", lost.version, None, jobs, now=c.at(20))
    expect("a fire of duplicates", fired.status, FireStatus.FIRED)
    expect("the answers", [answer.status for answer in fired.enqueued], expected)
    _expect_row(fired.schedule, next_at=None, last_at=c.at(20), count=2)
    row = await _list_one(c, driver, 99)
    done = await driver.fire_schedule(QUEUE, "daily", row.version, None, [], now=c.at(99))
    expect("a fire after the last tick", done.status, FireStatus.NOT_DUE)


@case(
    "SCH-03",
    clauses=("schedule.conflict",),
    needs=_NEEDS,
    fix="On another version nothing is stored: neither the tick nor its jobs. Every change of the "
    "row counts the version up, a fire included.",
)
async def a_conflict_leaves_no_job(c: Bench) -> None:
    """A fire with another version conflicts, and leaves neither a job nor a change."""
    driver = await _driver(c)
    put = await _put(c, driver, "daily", c.now)
    changed = await driver.put_schedule(QUEUE, "daily", b'"other"', At(c.now), now=c.now)
    expect_that("a change counts the version up", changed.version > put.version, changed)
    job = c.job()
    for version in (put.version, changed.version + 1, put.version - 1):
        fired = await driver.fire_schedule(QUEUE, "daily", version, c.at(9), [job], now=c.now)
        seen = (fired.status, fired.enqueued, fired.schedule)
        expect(f"a fire of version {version}", seen, (FireStatus.CONFLICT, [], changed))
    gone = await driver.fire_schedule(QUEUE, "weekly", put.version, c.at(9), [job], now=c.now)
    expect("an unknown one", (gone.status, gone.schedule), (FireStatus.GONE, None))
    expect("the job", await c.state(driver, job.key), None)
    expect("the row", await _list_one(c, driver, 0), changed)


@case(
    "SCH-04",
    clauses=("schedule.missed",),
    needs=_NEEDS,
    fix="next_at is not moved up to now: a tick in the past is due, and fires as itself.",
)
async def a_missed_tick_is_due(c: Bench) -> None:
    """A tick that was missed is due, at once, and is noted as the tick that it was."""
    driver = await _driver(c)
    put = await _put(c, driver, "daily", c.at(-3_600))
    seen = (put.next_at, put.due_in)
    expect("next_at and due_in", seen, (c.at(-3_600), timedelta(0)))
    fired = await _fire(driver, put, c.at(-1_800), c.now)
    expect("the first missed tick", fired.status, FireStatus.FIRED)
    _expect_row(fired.schedule, next_at=c.at(-1_800), last_at=c.at(-3_600), count=1)
    row = await _list_one(c, driver, 0)
    fired = await _fire(driver, row, c.at(1_800), c.now)
    _expect_row(fired.schedule, next_at=c.at(1_800), last_at=c.at(-1_800), count=2)


@case(
    "SCH-05",
    clauses=("schedule.never_early", "schedule.due_in", "time.given_now"),
    needs=_NEEDS,
    fix="Fire compares next_at with the operation's now: due is next_at <= now.",
)
async def a_tick_is_never_early(c: Bench) -> None:
    """A tick a moment too early is NOT_DUE and changes nothing; at its time it fires."""
    driver = await _driver(c)
    whens: dict[str, When] = {"at": At(c.at(60)), "after": After(timedelta(seconds=60))}
    for name, when in whens.items():
        put = await driver.put_schedule(QUEUE, name, b"{}", when, now=c.now)
        seen = (put.next_at, put.due_in, put.count, put.last_at)
        expect("the new row", seen, (c.at(60), timedelta(seconds=60), 0, None))
        job = c.job()
        early = await driver.fire_schedule(
            QUEUE, name, put.version, c.at(120), [job], now=c.at(60) - c.tick
        )
        status = (early.status, early.enqueued, early.now)
        expect("a tick too early", status, (FireStatus.NOT_DUE, [], c.at(60) - c.tick))
        expect("the job", await c.state(driver, job.key), None)
        [row] = (await driver.list_schedules([QUEUE], now=c.at(50))).schedules
        expect(
            "version and due_in", (row.version, row.due_in), (put.version, timedelta(seconds=10))
        )
        fired = await driver.fire_schedule(QUEUE, name, put.version, c.at(120), [job], now=c.at(60))
        expect("in time", fired.status, FireStatus.FIRED)
        expect("the job", await c.state(driver, job.key), JobState.READY)
        expect("removed", await driver.remove_schedule(QUEUE, name), True)


@case(
    "SCH-06",
    clauses=("schedule.put",),
    needs=_NEEDS,
    fix="A put of the same definition leaves the row alone: every start of an application puts "
    "its schedules, and must not move their next ticks.",
)
async def put_unchanged_keeps_its_place(c: Bench) -> None:
    """The same definition leaves the row as it is; another replaces it and keeps count and last."""
    driver = await _driver(c)
    put = await _put(c, driver, "daily", c.at(60))
    again = await driver.put_schedule(QUEUE, "daily", b'"daily"', At(c.at(999)), now=c.now)
    expect("the row after the same definition", again, put)
    await _fire(driver, put, c.at(120), c.at(60))
    fired = await _list_one(c, driver, 61)
    again = await driver.put_schedule(QUEUE, "daily", b'"daily"', At(c.at(60)), now=c.at(61))
    expect("the same after a fire", again, fired)

    other = await driver.put_schedule(QUEUE, "daily", b'"other"', At(c.at(90)), now=c.at(61))
    _expect_row(other, next_at=c.at(90), last_at=c.at(60), count=1)
    expect("its definition", other.definition, b'"other"')
    expect_that("its version is higher", other.version > fired.version, (fired, other))


@case(
    "SCH-08",
    clauses=("schedule.listed", "schedule.removed"),
    needs=_NEEDS,
    fix="List the schedules of the queues asked, by queue and name. Removing one leaves its jobs.",
)
async def schedules_are_listed_and_removed(c: Bench) -> None:
    """Schedules are listed by queue and name, with the store's now, until they are removed."""
    driver, other = await _driver(c), await _driver(c)
    for queue, name in (("b", "x"), ("a", "y"), ("a", "Z"), ("a", "ä"), ("c", "x")):
        await driver.put_schedule(queue, name, b"{}", At(c.now), now=c.now)
    book = await other.list_schedules(["b", "a", "empty"], now=c.at(3))
    listed = [(row.queue, row.name) for row in book.schedules]
    expect("the list", listed, [("a", "Z"), ("a", "y"), ("a", "ä"), ("b", "x")])
    expect("the store's now", book.now, c.at(3))
    expect("the list of no queues", (await other.list_schedules([], now=c.at(3))).schedules, [])
    expect_that("its queue is listed", "c" in await driver.queues(), await driver.queues())

    job = c.job(queue="c")
    [row] = (await other.list_schedules(["c"], now=c.at(3))).schedules
    await other.fire_schedule("c", "x", row.version, c.at(9), [job], now=c.at(3))
    removed = [await driver.remove_schedule("c", "x") for _ in range(2)]
    expect("removing it twice", removed, [True, False])
    expect("the list", (await other.list_schedules(["c"], now=c.at(4))).schedules, [])
    fired = await other.fire_schedule("c", "x", row.version + 1, None, [], now=c.at(9))
    expect("a fire afterwards", fired.status, FireStatus.GONE)
    expect("its job stays", await c.state(driver, job.key), JobState.READY)


@case(
    "SCH-09",
    clauses=("schedule.versions",),
    needs=_NEEDS,
    fix="Take versions from a counter that outlives the row (of the queue, or of the store), not "
    "from the row alone.",
)
async def a_version_is_never_given_twice(c: Bench) -> None:
    """A schedule that was removed and put again has another version, so an old fire conflicts."""
    driver = await _driver(c)
    versions: list[int] = []
    for number in range(3):
        put = await _put(c, driver, "daily", c.now)
        await _fire(driver, put, c.at(number + 1), c.at(number))
        versions += [put.version, (await _list_one(c, driver, number)).version]
        expect("whether it was there", await driver.remove_schedule(QUEUE, "daily"), True)
    expect_that("all versions differ", len(set(versions)) == len(versions), versions)
    put = await _put(c, driver, "daily", c.now)
    for version in versions:
        fired = await driver.fire_schedule(QUEUE, "daily", version, None, [c.job()], now=c.at(9))
        expect(f"a fire of the old version {version}", fired.status, FireStatus.CONFLICT)
    expect("jobs", await c.claim_ids(driver, now=c.at(9)), [])


async def _driver(c: Bench) -> _ScheduleDriver:
    return cast(_ScheduleDriver, await c.driver())


async def _put(c: Bench, driver: _ScheduleDriver, name: str, next_at: datetime) -> Schedule:
    definition = f'"{name}"'.encode()
    row = await driver.put_schedule(QUEUE, name, definition, At(next_at), now=c.now)
    expect(
        "queue, name, definition", (row.queue, row.name, row.definition), (QUEUE, name, definition)
    )
    return row


async def _fire(driver: _ScheduleDriver, row: Schedule, next_at: datetime, now: datetime) -> Fired:
    return await driver.fire_schedule(row.queue, row.name, row.version, next_at, [], now=now)


async def _list_one(c: Bench, driver: _ScheduleDriver, second: float) -> Schedule:
    [row] = (await driver.list_schedules([QUEUE], now=c.at(second))).schedules
    return row


def _expect_row(
    row: Schedule | None, *, next_at: datetime | None, last_at: datetime, count: int
) -> None:
    seen = row and (row.next_at, row.last_at, row.count)
    expect("next_at, last_at and count of the schedule", seen, (next_at, last_at, count))
