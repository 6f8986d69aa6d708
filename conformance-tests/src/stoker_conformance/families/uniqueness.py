"""UNQ: at most one holder of a key."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

from stoker.driver import (
    After,
    At,
    Cancel,
    Capability,
    ChangeStatus,
    Complete,
    Driver,
    Enqueued,
    EnqueueStatus,
    Fail,
    JobKey,
    JobState,
    Keep,
    KeepFor,
    NewJob,
    OnConflict,
    Outcome,
    Release,
    Retention,
    Retry,
    Snooze,
    Unique,
    Until,
)
from stoker_conformance.bench import ERROR, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that, expect_unchanged

_NEEDS: Final = (Capability.UNIQUE,)
_NOW: Final = After(timedelta(0))
_LATER: Final = After(timedelta(minutes=10))
_KEY: Final = Unique("key")
_HOUR: Final = Unique("hour", After(timedelta(hours=1)))


@case(
    "UNQ-01",
    clauses=("unique.finish_held",),
    needs=_NEEDS,
    fix="A FINISH key belongs to the job until it is terminal. Going back to pending, by "
    "whatever way, is no end.",
)
async def a_finish_key_is_held_until_the_end(c: Bench) -> None:
    """A FINISH key is kept while pending and running, and through every way back to pending."""
    driver = await c.driver()
    holder = c.job("holder", unique=Unique("key"), max_attempts=9)
    await c.put(driver, holder)
    await _expect_held(c, driver, "pending", 0)
    ways: list[tuple[str, Outcome | None]] = [
        ("retry", Retry(_NOW, ERROR)),
        ("delayed retry", Retry(_LATER, ERROR)),
        ("release", Release(_NOW)),
        ("delayed release", Release(_LATER)),
        ("snooze", Snooze(_LATER)),
        ("reap", None),
    ]
    for number, (way, outcome) in enumerate(ways):
        second = 1_000.0 * number
        await c.promote(driver, now=c.at(second))
        token = (await c.claim_one(driver, now=c.at(second))).token
        await _expect_held(c, driver, f"running, before {way}", second + 1)
        if outcome is None:
            await c.reap(driver, now=c.at(second + 60))
        else:
            await c.finish(driver, token, outcome, now=c.at(second + 2))
        await _expect_held(c, driver, f"pending after {way}", second + 61)
    expect("jobs in the queue", len(await c.claim(driver, now=c.at(9_999))), 1)


@case(
    "UNQ-02",
    clauses=("unique.finish_freed", "unique.removed"),
    needs=_NEEDS,
    fix="Every step that makes a job terminal frees its FINISH key in the same step, and so does "
    "the removal of the record. Whoever forgets one way blocks the key for ever.",
)
async def every_end_frees_a_finish_key(c: Bench) -> None:
    """A FINISH key is free after every way into a terminal state, and after a removal."""
    driver = await c.driver()
    zero = KeepFor(timedelta(0), timedelta(0), timedelta(0))
    outcomes: dict[str, Outcome] = {
        "Complete": Complete(),
        "Fail": Fail(ERROR),
        "the last Retry": Retry(_NOW, ERROR),
        "Cancel": Cancel("no"),
    }
    for keep in (None, zero):
        for way, outcome in outcomes.items():
            job = await _holder(c, driver, keep=keep)
            await c.finish(driver, (await c.claim_one(driver)).token, outcome)
            await _expect_free(c, driver, job, f"{way}, keep={keep}")
        for letting_go in (Release(_NOW), Snooze(_LATER), Retry(_LATER, ERROR)):
            job = await _holder(c, driver, keep=keep, max_attempts=5)
            token = (await c.claim_one(driver)).token
            await driver.cancel([job.key], reason="no", now=c.now)
            await c.finish(driver, token, letting_go)
            await _expect_free(c, driver, job, f"a cancel and {letting_go}, keep={keep}")
        for max_crashes, cancelled in ((0, False), (5, True)):
            job = await _holder(c, driver, keep=keep, max_crashes=max_crashes)
            await c.claim_one(driver)
            if cancelled:
                await driver.cancel([job.key], reason="no", now=c.now)
            await c.reap(driver, now=c.at(60))
            await _expect_free(c, driver, job, f"a reap that ends the job, keep={keep}")
        for run_at in (_NOW, _LATER):
            job = await _holder(c, driver, keep=keep, run_at=run_at)
            await driver.cancel([job.key], reason="no", now=c.now)
            await _expect_free(c, driver, job, f"the cancel of a pending job, keep={keep}")
    for run_at in (_NOW, _LATER):
        job = await _holder(c, driver, run_at=run_at)
        await driver.remove([job.key])
        await _expect_free(c, driver, job, "the removal of a pending job")
    job = await _holder(c, driver)
    await c.claim_one(driver)
    await driver.remove([job.key])
    await _expect_free(c, driver, job, "the removal of a running job")


@case(
    "UNQ-03",
    clauses=("unique.start",),
    needs=_NEEDS,
    fix="A START key is freed by the claim, in the same step, and is not taken again when the "
    "job comes back to pending.",
)
async def a_start_key_is_held_until_the_claim(c: Bench) -> None:
    """A START key is held while pending, freed by the claim, and not taken again afterwards."""
    driver = await c.driver()
    start = Unique("key", Until.START)
    first = c.job("first", unique=start, max_attempts=5)
    await c.put(driver, first)
    await _expect_held(c, driver, "pending", 0, unique=start, holder="first")
    token = (await c.claim_one(driver)).token
    second = c.job("second", unique=start, run_at=_LATER)
    await c.put(driver, second)
    await c.finish(driver, token, Release(_NOW), now=c.at(1))
    await _expect_held(c, driver, "held by the next", 2, unique=start, holder="second")

    expect("the first came back without the key", await c.claim_ids(driver, now=c.at(3)), ["first"])
    await driver.cancel([second.key], reason="no", now=c.at(4))
    await c.put(driver, c.job("third", unique=start), now=c.at(5))
    await driver.remove([JobKey(QUEUE, "third")])
    await c.put(driver, c.job("fourth", unique=start), now=c.at(6))


@case(
    "UNQ-04",
    clauses=("unique.window", "unique.removed", "time.given_now"),
    needs=_NEEDS,
    fix="A key with a time is a row of its own that outlives its job and is compared with the "
    "`now` of the operation; a time-to-live of the server follows another clock.",
)
async def a_window_outlives_its_job(c: Bench) -> None:
    """A key with a time is held until then, though its job ended; and not a tick longer."""
    driver = await c.driver()
    for until in (After(timedelta(seconds=90)), At(c.at(90))):
        window = Unique(str(until), until)
        holder = c.job(unique=window)
        await c.put(driver, holder)
        token = (await c.claim_one(driver)).token
        await _expect_held(c, driver, "running", 1, unique=window, holder=holder.key.id)
        await c.finish(driver, token, Complete(), now=c.at(2))
        await _expect_held(c, driver, "completed", 3, unique=window, holder=holder.key.id)
        await driver.purge(QUEUE, Retention(), limit=10, now=c.at(4))  # forgets expired keys only
        last = 90 - c.tick.total_seconds()
        await _expect_held(c, driver, "a tick before", last, unique=window, holder=holder.key.id)
        await c.put(driver, next_one := c.job(unique=Unique(str(until))), now=c.at(90))
        await c.finish(driver, (await c.claim_one(driver, now=c.at(90))).token, Complete())
        expect("the next job", await c.state(driver, next_one.key), JobState.COMPLETED)

    removed = c.job(unique=_HOUR)
    await c.put(driver, removed)
    await driver.remove([removed.key])
    await c.put(driver, c.job(unique=_HOUR), now=c.at(1))


@case(
    "UNQ-09",
    clauses=("unique.unkept",),
    needs=_NEEDS,
    fix="A key with a time does not live in the job's record: when that is not kept, or purged, "
    "the key stays until its time, with no record to name. A later job that is given the same id "
    "is another job: it does not hold the key, and must not be replaced.",
)
async def a_window_outlives_its_record(c: Bench) -> None:
    """A key with a time is still held when its record was purged, or not kept at all."""
    driver = await c.driver()
    for keep in (None, KeepFor(completed=timedelta(0))):
        window = Unique(f"keep={keep is None}", After(timedelta(seconds=90)))
        job = c.job(unique=window, keep=keep)
        await c.put(driver, job)
        await c.finish(driver, (await c.claim_one(driver)).token, Complete(), now=c.at(1))
        await driver.purge(QUEUE, Retention(completed=Keep(newest=0)), limit=9, now=c.at(2))
        expect("the record", await c.state(driver, job.key), None)

        namesake = c.job(job.key.id)
        await c.put(driver, namesake, now=c.at(3))
        replacing = Unique(window.key, window.until, OnConflict.REPLACE)
        await _expect_held(c, driver, "another job has the id", 4, unique=replacing, holder=None)
        expect("the job that has the id", await c.state(driver, namesake.key), JobState.READY)
        await driver.remove([namesake.key])
        await _expect_held(c, driver, "no record", 89, unique=window, holder=None)
        answer = await _enqueue(driver, c.job(unique=window), c, 90)
        expect("an enqueue at its time", answer, Enqueued(EnqueueStatus.INSERTED))
        await driver.remove([lease.token.key for lease in await c.claim(driver, now=c.at(90))])


@case(
    "UNQ-05",
    clauses=("unique.replace", "unique.reschedule", "unique.busy_holder"),
    needs=_NEEDS,
    fix="Replace cancels a pending holder and inserts in one step; reschedule moves a pending "
    "holder and inserts nothing. A running holder is left alone.",
)
async def a_pending_holder_is_replaced_or_moved(c: Bench) -> None:
    """Replace and reschedule apply to pending holders, and never to running ones."""
    driver = await c.driver()
    replace = Unique("key", on_conflict=OnConflict.REPLACE)
    move = Unique("key", on_conflict=OnConflict.RESCHEDULE)
    first, second = c.job("first", unique=replace), c.job("second", unique=replace, run_at=_LATER)
    await c.put(driver, first)
    await c.put(driver, second, now=c.at(1))
    record = await c.record(driver, first.key)
    seen = (record.state, record.finished_at)
    expect("the holder that was replaced", seen, (JobState.CANCELLED, c.at(1)))
    expect_that("it says why", record.cancel_reason is not None, record.cancel_reason)

    mover = c.job("mover", unique=move, run_at=At(c.at(30)), payload=b'"ignored"')
    answer = await _enqueue(driver, mover, c, 2)
    expect("reschedule", answer, Enqueued(EnqueueStatus.RESCHEDULED, "second"))
    record = await c.record(driver, second.key)
    seen_after = (record.state, record.run_at, record.payload)
    expect("the moved holder", seen_after, (JobState.SCHEDULED, c.at(30), second.payload))
    expect("the mover is not stored", await c.state(driver, mover.key), None)
    answer = await _enqueue(driver, c.job(unique=move), c, 3)
    expect("reschedule to now", answer, Enqueued(EnqueueStatus.RESCHEDULED, "second"))
    lease = await c.claim_one(driver, now=c.at(4))
    expect("the holder, moved to now", lease.token.key, second.key)

    before = await c.record(driver, second.key)
    conflict = Enqueued(EnqueueStatus.UNIQUE_CONFLICT, "second")
    for unique in (replace, move):
        answer = await _enqueue(driver, c.job("late", unique=unique), c, 5)
        expect(f"{unique.on_conflict} of a running holder", answer, conflict)
        expect("the late job is not stored", await c.state(driver, JobKey(QUEUE, "late")), None)
    expect_unchanged("the running holder", await c.record(driver, second.key), before)


@case(
    "UNQ-06",
    clauses=("unique.races", "operation.concurrent"),
    needs=_NEEDS,
    fix="Two producers got the key: looking and taking have to be one atomic step, guarded by a "
    "unique index or a script.",
)
async def racing_producers_get_one_key(c: Bench) -> None:
    """Of producers that race for a key exactly one gets it, and the others learn who did."""
    clients = await c.drivers(c.pick(fast=6, full=12))
    for number in range(c.pick(fast=8, full=40)):
        unique = Unique(f"key-{number}")
        jobs = [c.job(unique=unique) for _ in clients]
        answers = await asyncio.gather(
            *(_enqueue(client, job, c, 0) for client, job in zip(clients, jobs, strict=True))
        )
        inserted = [
            job.key.id
            for job, answer in zip(jobs, answers, strict=True)
            if answer.status is EnqueueStatus.INSERTED
        ]
        expect("producers that got the key", len(inserted), 1)
        others = [answer for answer in answers if answer.status is not EnqueueStatus.INSERTED]
        conflict = Enqueued(EnqueueStatus.UNIQUE_CONFLICT, inserted[0])
        expect("the others", others, [conflict] * (len(clients) - 1))
        expect("jobs stored", await c.claim_ids(clients[0]), inserted)


@case(
    "UNQ-07",
    clauses=("unique.batch", "unique.scope", "answers.aligned"),
    needs=_NEEDS,
    fix="Inside a batch the first of two equal keys wins, and the second is told of the first, "
    "whatever it asks for on a conflict. "
    "The id is looked at before the key; keys of two queues do not meet.",
)
async def the_first_key_of_a_batch_wins(c: Bench) -> None:
    """Of equal keys in one batch the first wins; other queues and other keys do not matter."""
    driver = await c.driver()
    key, other = Unique("key"), Unique("KEY")
    answers = await driver.enqueue(
        [
            c.job("first", unique=key),
            c.job("plain"),
            c.job("second", unique=key),
            c.job("case", unique=other),
            c.job("elsewhere", unique=key, queue="parcels"),
            c.job("first", unique=key),
            c.job("third", unique=Unique("key", on_conflict=OnConflict.REPLACE)),
        ],
        now=c.now,
    )
    conflict = Enqueued(EnqueueStatus.UNIQUE_CONFLICT, "first")
    inserted = Enqueued(EnqueueStatus.INSERTED)
    duplicate = Enqueued(EnqueueStatus.DUPLICATE_ID)
    expected = [inserted, inserted, conflict, inserted, inserted, duplicate, conflict]
    expect("the answers", answers, expected)
    expect("jobs stored", await c.claim_ids(driver), ["case", "first", "plain"])
    expect("jobs elsewhere", await c.claim_ids(driver, queue="parcels"), ["elsewhere"])
    late = c.job("late", unique=key)
    answers = await driver.enqueue([late, late], now=c.now)
    expect("one job twice, its key held: neither is stored", answers, [conflict, conflict])
    record = await c.record(driver, JobKey(QUEUE, "case"))
    expect("the key in the record", record.unique_key, "KEY")


@case(
    "UNQ-08",
    clauses=("unique.manual_retry",),
    needs=_NEEDS,
    fix="A manual retry takes a FINISH or START key again in the same step, or answers "
    "UNIQUE_CONFLICT and changes nothing.",
)
async def a_manual_retry_needs_its_key(c: Bench) -> None:
    """A manual retry takes its key again, or is a conflict without effect when it is taken."""
    driver = await c.driver()
    for until in (Until.FINISH, Until.START):
        unique = Unique(f"key-{until}", until)
        failed = c.job(unique=unique)
        await c.put(driver, failed)
        await c.finish(driver, (await c.claim_one(driver)).token, Fail(ERROR))
        holder = c.job(unique=unique)
        await c.put(driver, holder)
        before = await c.record(driver, failed.key)
        [changed] = await driver.retry([failed.key], now=c.at(1))
        seen = (changed.status, changed.existing)
        expect("a retry without its key", seen, (ChangeStatus.UNIQUE_CONFLICT, holder.key.id))
        expect_unchanged("the failed job", await c.record(driver, failed.key), before)

        await driver.cancel([holder.key], reason="no", now=c.at(2))
        [changed] = await driver.retry([failed.key], now=c.at(3))
        expect("a retry when the key is free", changed.status, ChangeStatus.DONE)
        holder_id = failed.key.id
        await _expect_held(c, driver, "held again", 4, unique=unique, holder=holder_id)
        await driver.remove([failed.key])

        first, second = c.job(unique=unique), c.job(unique=unique)
        for job in (first, second):
            await c.put(driver, job)
            await c.finish(driver, (await c.claim_one(driver)).token, Fail(ERROR))
        answers = await driver.retry([second.key, first.key], now=c.at(5))
        both = [(answer.status, answer.existing) for answer in answers]
        conflict = (ChangeStatus.UNIQUE_CONFLICT, second.key.id)
        expect("a retry of two jobs with one key", both, [(ChangeStatus.DONE, None), conflict])
        await driver.remove([first.key, second.key])


@case(
    "UNQ-10",
    clauses=("unique.forgotten",),
    needs=_NEEDS,
    fix="Purge also deletes the keys that have expired, up to its limit: otherwise every window "
    "that was ever used stays in the store.",
)
async def expired_keys_are_forgotten(c: Bench) -> None:
    """After their time, purge forgets keys whose records are gone."""
    driver = await c.driver()
    number = c.pick(fast=20, full=200)
    footprints: list[int] = []
    for start in (0.0, 1_000.0):
        for index in range(number):
            window = Unique(f"{start}-{index}", After(timedelta(seconds=90)))
            job = c.job(unique=window, keep=KeepFor(completed=timedelta(0)))
            await c.put(driver, job, now=c.at(start))
        held = await c.footprint()
        for lease in await c.claim(driver, number, now=c.at(start)):
            await c.finish(driver, lease.token, Complete(), now=c.at(start + 1))
        await driver.purge(QUEUE, Retention(), limit=2 * number, now=c.at(start + 90))
        footprints.append(await c.footprint())
        expect_that("footprint counts jobs and keys", held > footprints[-1], (held, footprints))
    expect("the footprint after the second round", footprints[1], footprints[0])


async def _holder(c: Bench, driver: Driver, **fields: Any) -> NewJob:
    job = c.job(unique=Unique("key"), **fields)
    await c.put(driver, job)
    return job


async def _enqueue(driver: Driver, job: NewJob, c: Bench, second: float) -> Enqueued:
    [answer] = await driver.enqueue([job], now=c.at(second))
    return answer


async def _expect_held(
    c: Bench,
    driver: Driver,
    what: str,
    second: float,
    *,
    unique: Unique = _KEY,
    holder: str | None = "holder",
) -> None:
    rival = c.job(unique=unique)
    answer = await _enqueue(driver, rival, c, second)
    conflict = Enqueued(EnqueueStatus.UNIQUE_CONFLICT, holder)
    expect(f"an enqueue while the key is held: {what}", answer, conflict)
    expect(f"the job that lost, {what}", await c.state(driver, rival.key), None)


async def _expect_free(c: Bench, driver: Driver, before: NewJob, way: str) -> None:
    """Take the key of a job that ended, and remove both jobs."""
    after = c.job(unique=before.unique)
    answer = await _enqueue(driver, after, c, 61)
    expect(f"an enqueue after {way}", answer, Enqueued(EnqueueStatus.INSERTED))
    await driver.remove([before.key, after.key])
