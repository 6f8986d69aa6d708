"""RTY: attempts, and the ways back to pending."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from stoker.driver import (
    After,
    At,
    Capability,
    ChangeStatus,
    Complete,
    Extension,
    Fail,
    JobKey,
    JobState,
    Outcome,
    Release,
    Retry,
    Settlement,
    SettleStatus,
    Snooze,
)
from stoker.errors import InvalidInput
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_refusal, expect_that, expect_unchanged

_NOW: Final = After(timedelta(0))


@case(
    "RTY-01",
    clauses=("retry.waits", "retry.keeps", "state.by_time"),
    fix="A Retry sets run_at to the time asked for and keeps everything else: payload, metadata, "
    "and the error appended to those before.",
)
async def a_retry_waits_and_keeps_everything(c: Bench) -> None:
    """A failed attempt comes back at its time, with its payload, its error kept."""
    driver = await c.driver()
    job = c.job(max_attempts=4, payload=b'{"to":"me"}', metadata={"k": "v"}, tags=("red",))
    await c.put(driver, job)
    token = (await c.claim_one(driver)).token
    state = await c.finish(
        driver, token, Retry(After(timedelta(seconds=30)), b'"first"'), now=c.at(2)
    )
    record = await c.record(driver, job.key)
    expect("states", (state, record.state), (JobState.SCHEDULED, JobState.SCHEDULED))
    expect("run_at after a Retry", record.run_at, c.at(32))
    expect("errors, attempt", (record.errors, record.attempt), ((b'"first"',), 1))
    expect("its lease", (record.expires_at, record.finished_at), (None, None))
    expect("promoted too early", await c.promote(driver, now=c.at(32) - c.tick), 0)
    expect("promoted in time", await c.promote(driver, now=c.at(32)), 1)

    lease = await c.claim_one(driver, now=c.at(33))
    expect("the attempt after a Retry", lease.attempt, 2)
    seen = (lease.payload, dict(lease.metadata), lease.tags)
    expect("payload, metadata, tags", seen, (job.payload, {"k": "v"}, ("red",)))
    for when in (_NOW, At(c.at(-5))):
        state = await c.finish(driver, lease.token, Retry(when, b'"next"'), now=c.at(40))
        expect(f"a retry at {when}", state, JobState.READY)
        lease = await c.claim_one(driver, now=c.at(40))
    record = await c.record(driver, job.key)
    expect("errors", record.errors, (b'"first"', b'"next"', b'"next"'))


@case(
    "RTY-02",
    clauses=("retry.last",),
    fix="A Retry whose attempt is the last one, attempt >= max_attempts, leads to failed.",
)
async def the_last_attempt_fails(c: Bench) -> None:
    """A Retry of the last attempt leads to failed, its error kept, and nothing is claimable."""
    driver = await c.driver()
    for max_attempts in (1, 3):
        job = c.job(max_attempts=max_attempts)
        await c.put(driver, job)
        for attempt in range(1, max_attempts + 1):
            lease = await c.claim_one(driver)
            expect("the attempt that a claim counts", lease.attempt, attempt)
            state = await c.finish(driver, lease.token, Retry(_NOW, ERROR), now=c.at(7))
            last = attempt == max_attempts
            expected = JobState.FAILED if last else JobState.READY
            expect(f"a Retry of attempt {attempt} of {max_attempts}", state, expected)
        record = await c.record(driver, job.key)
        seen = (record.state, record.errors, record.finished_at, record.attempt)
        expect(
            "the record", seen, (JobState.FAILED, (ERROR,) * max_attempts, c.at(7), max_attempts)
        )
    expect("claimed afterwards", await c.claim_ids(driver, now=c.at(99)), [])


@case(
    "RTY-03",
    clauses=("release.refunds", "snooze.refunds"),
    fix="Release and Snooze take the attempt back: a deploy or a handler's wish for a later time "
    "must not burn a try. Snooze counts up `snoozes`.",
)
async def release_and_snooze_burn_no_attempt(c: Bench) -> None:
    """Release and Snooze give the attempt back, however often, and Snooze is counted."""
    driver = await c.driver()
    job = c.job(max_attempts=1)
    await c.put(driver, job)
    waits = After(timedelta(seconds=10))
    steps: list[tuple[Outcome, JobState, int]] = [
        (Release(_NOW), JobState.READY, 0),
        (Snooze(waits), JobState.SCHEDULED, 1),
        (Release(waits), JobState.SCHEDULED, 1),
        (Snooze(_NOW), JobState.READY, 2),
        (Release(_NOW), JobState.READY, 2),
    ]
    for number, (outcome, expected, snoozes) in enumerate(steps):
        now = c.at(100 * number)
        await c.promote(driver, now=now)
        lease = await c.claim_one(driver, now=now)
        expect("the attempt of each lease", lease.attempt, 1)
        state = await c.finish(driver, lease.token, outcome, now=now)
        record = await c.record(driver, job.key)
        expect(f"where {outcome} leads", (state, record.state), (expected, expected))
        expect("attempt and snoozes", (record.attempt, record.snoozes), (0, snoozes))
        expect("errors and crashes", (record.errors, record.crashes), ((), 0))
        due = now if expected is JobState.READY else now + waits.delay
        expect("run_at", record.run_at, due)
    lease = await c.claim_one(driver, now=c.at(999))
    expect("snoozes of the lease", (lease.attempt, lease.snoozes), (1, 2))
    state = await c.finish(driver, lease.token, Retry(_NOW, ERROR), now=c.at(999))
    expect("the first attempt that counts is the last", state, JobState.FAILED)


@case(
    "RTY-04",
    clauses=("errors.bounded",),
    fix="Keep the newest 10 errors, oldest first; a list without bound makes a job that fails for "
    "ever a leak.",
)
async def the_error_list_is_bounded(c: Bench) -> None:
    """Of many errors the newest ten are kept, oldest first; one that is too large is refused."""
    driver = await c.driver()
    job = c.job(max_attempts=20)
    await c.put(driver, job)
    errors = [b'"error %d"' % number for number in range(12)]
    errors.append(b'"' + b"x" * (8 * 1024 - 2) + b'"')
    for error in errors:
        lease = await c.claim_one(driver)
        await c.finish(driver, lease.token, Retry(_NOW, error))
    kept = (await c.record(driver, job.key)).errors
    expect_that("the newest ten errors are kept", kept == tuple(errors[-10:]), kept)

    token = (await c.claim_one(driver)).token
    for outcome in (Retry(_NOW, b"1" * 8_193), Fail(b"1" * 8_193)):
        settle = driver.settle([Settlement(token, outcome)], now=c.now)
        await expect_refusal("an error of 8,193 bytes", settle, InvalidInput)
    expect("the state afterwards", await c.state(driver, job.key), JobState.RUNNING)


@case(
    "RTY-05",
    clauses=("fail.immediate",),
    fix="Fail does not look at the attempts that are left.",
)
async def fail_is_immediate(c: Bench) -> None:
    """Fail leads to failed with attempts left, and the job does not come back."""
    driver = await c.driver()
    job = c.job(max_attempts=10)
    await c.put(driver, job)
    lease = await c.claim_one(driver)
    state = await c.finish(driver, lease.token, Fail(ERROR), now=c.at(3))
    record = await c.record(driver, job.key)
    seen = (state, record.state, record.errors, record.finished_at)
    expect(
        "answer, state, errors and finished_at after Fail",
        seen,
        (JobState.FAILED, JobState.FAILED, (ERROR,), c.at(3)),
    )
    await c.promote(driver, now=c.at(9_999))
    await c.reap(driver, now=c.at(9_999))
    expect("claimed later", await c.claim_ids(driver, now=c.at(9_999)), [])


@case(
    "RTY-06",
    clauses=("manual_retry.clears", "epoch.rises"),
    fix="A manual retry clears what belongs to the runs before and keeps errors, logs and the "
    "epoch: the counter must not start again.",
)
async def a_manual_retry_starts_afresh(c: Bench) -> None:
    """A manual retry clears counters, end and settlement, and keeps errors and the epoch."""
    driver = await c.driver()
    job = c.job(max_attempts=2, max_crashes=1)
    await c.put(driver, job)
    await c.claim_one(driver)
    await c.reap(driver, now=c.at(60))
    lease = await c.claim_one(driver, now=c.at(61))
    await c.finish(driver, lease.token, Snooze(_NOW), now=c.at(61))
    last = (await c.claim_one(driver, now=c.at(62))).token
    await c.finish(driver, last, Fail(b'"failed"'), now=c.at(63))

    [changed] = await driver.retry([job.key], now=c.at(100))
    expect("the answer", (changed.status, changed.state), (ChangeStatus.DONE, JobState.READY))
    record = await c.record(driver, job.key)
    counters = (record.attempt, record.crashes, record.snoozes)
    expect("attempt, crashes, snoozes", counters, (0, 0, 0))
    seen = (record.state, record.finished_at, record.cancel_reason, record.parked_since)
    expect("state and what is cleared", seen, (JobState.READY, None, None, None))
    expect("the errors", record.errors, (ERROR, b'"failed"'))
    expect("the epoch", record.epoch, last.epoch)
    answer = await c.settle(driver, last, Fail(b'"failed"'), now=c.at(101))
    expect("the old settlement again", answer.status, SettleStatus.STALE)
    lease = await c.claim_one(driver, now=c.at(102))
    expect_that("the epoch rose", lease.token.epoch > last.epoch, (last, lease.token))
    expect("attempt", lease.attempt, 1)
    state = await c.finish(driver, lease.token, Retry(_NOW, ERROR), now=c.at(103))
    expect("a Retry of the first of two attempts", state, JobState.READY)


@case(
    "RTY-07",
    clauses=("manual_retry.states", "answers.aligned"),
    fix="Only failed and cancelled jobs are retried by hand; others answer NOT_APPLICABLE with "
    "their state, unknown ones GONE.",
)
async def only_failed_and_cancelled_jobs_are_retried(c: Bench) -> None:
    """A manual retry applies to failed and cancelled jobs, and changes no others."""
    driver = await c.driver()
    keys = await c.one_in_each_state(driver)
    before = {state: await c.record(driver, key) for state, key in keys.items()}
    answers = await driver.retry([*keys.values(), JobKey(QUEUE, "unknown")], now=c.at(5))
    expect("the answer for an unknown job", answers[-1].status, ChangeStatus.GONE)
    for (state, key), answer in zip(keys.items(), answers, strict=False):
        seen = (answer.status, answer.state)
        if state in (JobState.FAILED, JobState.CANCELLED):
            expect(f"a {state} job", seen, (ChangeStatus.DONE, JobState.READY))
            expect("its state", await c.state(driver, key), JobState.READY)
        else:
            expect(f"a {state} job", seen, (ChangeStatus.NOT_APPLICABLE, state))
            after = await c.record(driver, key)
            expect_unchanged(f"a {state} job after retry", after, before[state])
    counts = (await driver.stats([QUEUE], now=c.at(5)))[QUEUE].counts
    of_each = [counts[s] for s in (JobState.READY, JobState.FAILED, JobState.CANCELLED)]
    expect("ready, failed and cancelled jobs", of_each, [3, 0, 0])
    expect("claimable", len(await c.claim(driver, now=c.at(5))), 3)


@case(
    "RTY-10",
    clauses=("manual_retry.order",),
    fix="A job that is retried by hand becomes ready at that moment: give it a new place in the "
    "order, behind those that are ready already.",
)
async def a_manual_retry_comes_last(c: Bench) -> None:
    """A job that is retried by hand is due at once, and claimed after those that were ready."""
    driver = await c.driver()
    failed, *ready = c.jobs(4)
    await c.put(driver, failed)
    await c.finish(driver, (await c.claim_one(driver)).token, Fail(ERROR), now=c.at(1))
    for job in ready:
        await c.put(driver, job, now=c.at(2))
    await driver.retry([failed.key], now=c.at(3))
    record = await c.record(driver, failed.key)
    expect("run_at and ready_at", (record.run_at, record.ready_at), (c.at(3), c.at(3)))
    claimed = [(await c.claim_one(driver, now=c.at(4))).token.key.id for _ in range(4)]
    expect("the order of claims", claimed, [job.key.id for job in (*ready, failed)])


@case(
    "RTY-08",
    clauses=("release.parked",),
    fix="Release(parked=True) sets parked_since if it is unset; every other settlement and a "
    "manual retry clear it.",
)
async def a_parked_job_remembers_since_when(c: Bench) -> None:
    """Parking notes its first time, and every other settlement forgets it."""
    driver = await c.driver()
    clearing: list[Outcome] = [
        Retry(_NOW, ERROR),
        Release(_NOW),
        Snooze(_NOW),
        Complete(),
    ]
    for outcome in clearing:
        job = c.job(max_attempts=5)
        await c.put(driver, job)
        for now in (c.at(10), c.at(20)):
            lease = await c.claim_one(driver, now=now)
            await c.finish(driver, lease.token, Release(_NOW, parked=True), now=now)
            record = await c.record(driver, job.key)
            seen = (record.parked_since, record.attempt)
            expect("parked_since and attempt", seen, (c.at(10), 0))
        lease = await c.claim_one(driver, now=c.at(30))
        expect("parked_since of the lease", lease.parked_since, c.at(10))
        await c.finish(driver, lease.token, outcome, now=c.at(30))
        record = await c.record(driver, job.key)
        expect(f"parked_since after {outcome}", record.parked_since, None)
        await driver.remove([job.key])


@case(
    "RTY-09",
    clauses=("manual_retry.reports",),
    needs=(Capability.RESULTS,),
    fix="A manual retry clears result and progress, and keeps the logs.",
)
async def a_manual_retry_forgets_the_progress(c: Bench) -> None:
    """A manual retry clears the progress of the runs before, and keeps their logs."""
    driver = await c.driver()
    job = c.job()
    await c.put(driver, job)
    token = (await c.claim_one(driver)).token
    await driver.extend([Extension(token, b"0.5", [b'"half"'])], lease=LEASE, now=c.at(1))
    await c.finish(driver, token, Fail(ERROR), now=c.at(2))
    expect("progress before", (await c.record(driver, job.key)).progress, b"0.5")
    await driver.retry([job.key], now=c.at(3))
    record = await c.record(driver, job.key)
    seen = (record.progress, record.result, record.logs)
    expect("progress, result and logs", seen, (None, None, (b'"half"',)))
