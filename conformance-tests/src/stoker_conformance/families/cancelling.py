"""CAN: jobs that are not wanted any more."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from stoker.driver import (
    After,
    Cancel,
    ChangeStatus,
    Complete,
    Fail,
    JobKey,
    JobState,
    Outcome,
    Release,
    Retry,
    SettleStatus,
    Snooze,
    Want,
)
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench, rounds
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that, expect_unchanged


@case(
    "CAN-01",
    clauses=("cancel.pending",),
    fix="Cancelling a pending job is one step to cancelled; a later promote or claim must not "
    "find it.",
)
async def a_pending_job_is_cancelled_at_once(c: Bench) -> None:
    """A scheduled or ready job is cancelled at once, and never runs."""
    driver = await c.driver()
    ready, scheduled = c.job(), c.job(run_at=After(timedelta(seconds=30)))
    await c.put(driver, ready, scheduled)
    answers = await driver.cancel([ready.key, scheduled.key], reason="not wanted", now=c.at(5))
    done = (ChangeStatus.DONE, JobState.CANCELLED)
    seen = [(answer.status, answer.state) for answer in answers]
    expect("the answers for a ready and a scheduled job", seen, [done, done])
    for job in (ready, scheduled):
        record = await c.record(driver, job.key)
        fields = (record.state, record.cancel_reason, record.finished_at, record.attempt)
        expect(
            "state, reason, finished_at and attempt of the record",
            fields,
            (JobState.CANCELLED, "not wanted", c.at(5), 0),
        )
    await c.promote(driver, now=c.at(600))
    expect("claimed later", await c.claim_ids(driver, now=c.at(600)), [])


@case(
    "CAN-02",
    clauses=("cancel.running", "cancel.complete_wins"),
    fix="Cancelling a running job only leaves a note, which extend returns. The lease stays "
    "valid, and Complete and Fail win over the note.",
)
async def a_running_job_learns_of_its_cancel(c: Bench) -> None:
    """The cancel of a running job reaches its worker by extend; Complete and Fail win over it."""
    worker, admin = await c.drivers(2)
    outcomes: list[tuple[Outcome, JobState]] = [
        (Complete(), JobState.COMPLETED),
        (Fail(ERROR), JobState.FAILED),
        (Cancel("stopped"), JobState.CANCELLED),
    ]
    for outcome, expected in outcomes:
        job = c.job()
        await c.put(worker, job)
        token = (await c.claim_one(worker)).token
        [changed] = await admin.cancel([job.key], reason="not wanted", now=c.at(5))
        seen = (changed.status, changed.state)
        expect("the answer", seen, (ChangeStatus.REQUESTED, JobState.RUNNING))
        record = await c.record(admin, job.key)
        noted = (record.state, record.cancel_reason, record.expires_at)
        expect(
            "state, reason and expires_at of the record",
            noted,
            (JobState.RUNNING, "not wanted", c.at(60)),
        )
        extended = await c.extend(worker, token, now=c.at(10))
        expect("what extend tells", extended.cancel_reason, "not wanted")
        state = await c.finish(worker, token, outcome, now=c.at(11))
        expect(f"{outcome} after the cancel", state, expected)
        reason = "stopped" if expected is JobState.CANCELLED else None
        record = await c.record(admin, job.key)
        expect(f"cancel_reason of a {expected} job", record.cancel_reason, reason)


@case(
    "CAN-03",
    clauses=("cancel.sticks",),
    fix="Retry, Release and Snooze look for a requested cancel: a job that somebody cancelled "
    "must not come back because its worker let go of it.",
)
async def a_cancelled_run_does_not_come_back(c: Bench) -> None:
    """After a cancel of the running job, Retry, Release and Snooze lead to cancelled."""
    driver = await c.driver()
    now, later = After(timedelta(0)), After(timedelta(minutes=5))
    outcomes: list[Outcome] = [
        Retry(later, b'"kept"'),
        Retry(now, b'"kept"'),
        Release(now),
        Release(later, parked=True),
        Snooze(later),
    ]
    for outcome in outcomes:
        job = c.job(max_attempts=5)
        await c.put(driver, job)
        token = (await c.claim_one(driver)).token
        await driver.cancel([job.key], reason="not wanted", now=c.at(5))
        state = await c.finish(driver, token, outcome, now=c.at(6))
        record = await c.record(driver, job.key)
        seen = (state, record.state, record.cancel_reason, record.finished_at)
        expected = (JobState.CANCELLED, JobState.CANCELLED, "not wanted", c.at(6))
        expect(f"{outcome} after the cancel", seen, expected)
        errors = (b'"kept"',) if isinstance(outcome, Retry) else ()
        expect("the errors", record.errors, errors)
        answer = await c.settle(driver, token, outcome, now=c.at(7))
        replay = (answer.status, answer.state)
        expect("the same again", replay, (SettleStatus.ALREADY, JobState.CANCELLED))
    await c.promote(driver, now=c.at(999))
    expect("claimed later", await c.claim_ids(driver, now=c.at(999)), [])


@case(
    "CAN-04",
    clauses=("cancel.races", "operation.concurrent"),
    fix="Cancel and claim change the row only where its state still matches, each in one atomic "
    "statement.",
)
async def cancel_and_claim_have_one_winner(c: Bench) -> None:
    """When cancel meets claim, the job is cancelled and unclaimed, or running and asked to stop."""
    worker, admin = await c.drivers(2)
    for turns in range(c.pick(fast=20, full=80)):
        job = c.job()
        await c.put(worker, job)
        claiming = asyncio.ensure_future(
            worker.claim([Want(QUEUE, 1)], worker="worker-1", lease=LEASE, now=c.now)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        [changed] = await admin.cancel([job.key], reason="not wanted", now=c.now)
        async for _ in rounds("a cancel of a job that is being claimed"):
            if changed.status is not ChangeStatus.BUSY:
                break
            [changed] = await admin.cancel([job.key], reason="not wanted", now=c.now)
        leases = (await claiming).leases
        seen = (changed.status, len(leases), await c.state(admin, job.key))
        winners = (
            (ChangeStatus.DONE, 0, JobState.CANCELLED),
            (ChangeStatus.REQUESTED, 1, JobState.RUNNING),
        )
        expect_that(
            f"either the cancel or the claim wins ({turns} turns between)", seen in winners, seen
        )
        if leases:
            extended = await c.extend(worker, leases[0].token)
            expect("what extend tells", extended.cancel_reason, "not wanted")
        await admin.remove([job.key])


@case(
    "CAN-05",
    clauses=("cancel.idempotent", "answers.aligned"),
    fix="A cancel of a terminal job is NOT_APPLICABLE; a second cancel of a running one keeps the "
    "first reason.",
)
async def cancel_is_idempotent(c: Bench) -> None:
    """A second cancel changes nothing: terminal jobs stay, and the first reason is kept."""
    driver = await c.driver()
    keys = await c.one_in_each_state(driver)
    order = [*keys, None]
    every = [*keys.values(), JobKey(QUEUE, "unknown")]
    first = await driver.cancel(every, reason="first", now=c.at(5))
    cancelled = (ChangeStatus.DONE, JobState.CANCELLED)
    expected = {
        JobState.COMPLETED: (ChangeStatus.NOT_APPLICABLE, JobState.COMPLETED),
        JobState.FAILED: (ChangeStatus.NOT_APPLICABLE, JobState.FAILED),
        JobState.CANCELLED: (ChangeStatus.NOT_APPLICABLE, JobState.CANCELLED),
        JobState.RUNNING: (ChangeStatus.REQUESTED, JobState.RUNNING),
        JobState.READY: cancelled,
        JobState.SCHEDULED: cancelled,
        None: (ChangeStatus.GONE, None),
    }
    seen = {
        state: (answer.status, answer.state) for state, answer in zip(order, first, strict=True)
    }
    expect("the answers to the first cancel", seen, expected)
    before = {key: await c.record(driver, key) for key in keys.values()}
    second = await driver.cancel(every, reason="second", now=c.at(9))
    unchanged = (ChangeStatus.NOT_APPLICABLE, JobState.CANCELLED)
    expected |= {JobState.READY: unchanged, JobState.SCHEDULED: unchanged}
    seen = {
        state: (answer.status, answer.state) for state, answer in zip(order, second, strict=True)
    }
    expect("the answers to the second cancel", seen, expected)
    for key, record in before.items():
        expect_unchanged("a job after two cancels", await c.record(driver, key), record)


@case(
    "CAN-06",
    clauses=("reap.cancelled",),
    fix="A reap looks for a requested cancel before it makes the job pending again; the crash "
    "budget comes first.",
)
async def a_cancelled_job_is_not_revived_by_a_reap(c: Bench) -> None:
    """A reap of a job whose cancel was requested leads to cancelled; over budget, to failed."""
    driver = await c.driver()
    for max_crashes, expected in ((5, JobState.CANCELLED), (0, JobState.FAILED)):
        job = c.job(max_crashes=max_crashes)
        await c.put(driver, job)
        await c.claim_one(driver)
        await driver.cancel([job.key], reason="not wanted", now=c.at(5))
        reaped = await c.reap_one(driver, now=c.at(60))
        record = await c.record(driver, job.key)
        seen = (reaped.state, record.state, record.finished_at, record.crashes)
        expect(
            f"state, finished_at and crashes after a reap, max_crashes={max_crashes}",
            seen,
            (expected, expected, c.at(60), 1),
        )
        reason = "not wanted" if expected is JobState.CANCELLED else None
        expect(f"cancel_reason of a {expected} job", record.cancel_reason, reason)
    expect("claimed later", await c.claim_ids(driver, now=c.at(61)), [])


@case(
    "CAN-07",
    clauses=("cancel.by_worker",),
    fix="The outcome Cancel ends the job as cancelled, with its reason.",
)
async def a_worker_may_cancel_its_job(c: Bench) -> None:
    """The outcome Cancel leads to cancelled with the reason, and a manual retry revives it."""
    driver = await c.driver()
    job = c.job()
    await c.put(driver, job)
    token = (await c.claim_one(driver)).token
    state = await c.finish(driver, token, Cancel("expired 🕰"), now=c.at(2))
    record = await c.record(driver, job.key)
    seen = (state, record.cancel_reason, record.finished_at)
    expect("state, reason and finished_at", seen, (JobState.CANCELLED, "expired 🕰", c.at(2)))
    await driver.retry([job.key], now=c.at(3))
    lease = await c.claim_one(driver, now=c.at(4))
    extended = await c.extend(driver, lease.token, now=c.at(5))
    expect("the old reason, after a retry", extended.cancel_reason, None)
    state = await c.finish(driver, lease.token, Release(After(timedelta(0))), now=c.at(6))
    expect("a release after the retry", state, JobState.READY)
