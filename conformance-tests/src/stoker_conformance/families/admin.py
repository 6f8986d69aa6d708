"""ADM: moving jobs and removing them by hand."""

from __future__ import annotations

from datetime import timedelta

from stoker.driver import (
    IMMEDIATELY,
    After,
    At,
    Capability,
    ChangeStatus,
    Complete,
    ExtendStatus,
    Extension,
    JobKey,
    JobState,
    SettleStatus,
    Token,
)
from stoker.errors import InvalidInput
from stoker_conformance.bench import LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_refusal, expect_unchanged


@case(
    "ADM-01",
    clauses=("reschedule.pending", "state.by_time"),
    fix="Reschedule sets run_at, and the state by it: ready when the time is not after now. A "
    "ready job moved to the past keeps its place.",
)
async def pending_jobs_can_be_moved(c: Bench) -> None:
    """Scheduled and ready jobs move to the time asked for, and to the state that follows."""
    driver = await c.driver()
    a, b = c.job("a", run_at=After(timedelta(hours=1))), c.job("b")
    await c.put(driver, a, b)

    async def move(job_id: str, seconds: float, expected: JobState, now: float) -> None:
        key = JobKey(QUEUE, job_id)
        [changed] = await driver.reschedule([key], At(c.at(seconds)), now=c.at(now))
        record = await c.record(driver, key)
        seen = (changed.status, changed.state, record.state)
        what = f"{job_id} moved to {seconds} at {now}"
        expect(what, seen, (ChangeStatus.DONE, expected, expected))
        expect(f"run_at of {what}", record.run_at, c.at(max(seconds, now)))

    await move("a", 7_200, JobState.SCHEDULED, now=1)
    await move("a", 60, JobState.SCHEDULED, now=2)
    await move("b", 30, JobState.SCHEDULED, now=3)
    expect("claimed after both moved", await c.claim_ids(driver, now=c.at(4)), [])
    await move("b", 5, JobState.READY, now=5)
    expect("claimed when ready again", await c.claim_ids(driver, now=c.at(5)), ["b"])
    expect("promoted too early", await c.promote(driver, now=c.at(60) - c.tick), 0)
    expect("promoted at the new time", await c.promote(driver, now=c.at(60)), 1)

    await c.put(driver, c.job("c"), now=c.at(61))
    [changed] = await driver.reschedule([JobKey(QUEUE, "a")], IMMEDIATELY, now=c.at(62))
    expect("a ready job moved to now", changed.state, JobState.READY)
    record = await c.record(driver, JobKey(QUEUE, "a"))
    expect("its run_at", record.run_at, c.at(62))
    lease = await c.claim_one(driver, now=c.at(63))
    expect("a ready job keeps its place", lease.token.key.id, "a")
    naive = At(c.at(60).replace(tzinfo=None))
    refused = driver.reschedule([JobKey(QUEUE, "c")], naive, now=c.at(64))
    await expect_refusal("a naive datetime", refused, InvalidInput)


@case(
    "ADM-02",
    clauses=("reschedule.states", "answers.aligned"),
    fix="Only pending jobs can be moved: reschedule compares the state in the statement that "
    "changes it.",
)
async def other_jobs_cannot_be_moved(c: Bench) -> None:
    """Running and terminal jobs are NOT_APPLICABLE, unknown ones GONE, and nothing changes."""
    driver = await c.driver()
    keys = await c.one_in_each_state(driver)
    for pending in (JobState.READY, JobState.SCHEDULED):
        await driver.remove([keys.pop(pending)])
    before = [await c.record(driver, key) for key in keys.values()]
    every = [JobKey(QUEUE, "unknown"), *keys.values()]
    answers = await driver.reschedule(every, At(c.at(60)), now=c.at(5))
    expect(
        "the answers for unknown, completed, failed, cancelled and running",
        [(answer.status, answer.state) for answer in answers],
        [(ChangeStatus.GONE, None), *((ChangeStatus.NOT_APPLICABLE, state) for state in keys)],
    )
    for record in before:
        after = await c.record(driver, record.key)
        expect_unchanged(f"a {record.state} job after reschedule", after, record)


@case(
    "ADM-03",
    clauses=("remove.any_state", "token.unknown"),
    fix="Remove deletes the record, its place in every index and its lease. A token of a removed "
    "job is GONE.",
)
async def a_removed_job_is_gone(c: Bench) -> None:
    """Jobs are removed in any state, running ones included, and nothing of them is left."""
    driver = await c.driver()
    keys = await c.one_in_each_state(driver)
    running = await c.record(driver, keys[JobState.RUNNING])
    if Capability.RESULTS in c.info.capabilities:
        token = Token(running.key, running.epoch)
        await driver.extend([Extension(token, logs=[b'"1"'])], lease=LEASE, now=c.now)
    other = c.job(queue="parcels")
    await c.put(driver, other)
    answers = await driver.remove([*keys.values(), JobKey(QUEUE, "unknown")])
    seen = [(answer.status, answer.state) for answer in answers]
    done, gone = (ChangeStatus.DONE, None), (ChangeStatus.GONE, None)
    expect("the answers for six states and an unknown", seen, [done] * 6 + [gone])
    expect("the records", await driver.get(list(keys.values())), [None] * 6)
    expect("the second answer", {a.status for a in await driver.remove([running.key])}, {gone[0]})

    await c.claim_one(driver, queue="parcels")
    token = Token(running.key, running.epoch)
    expect("Complete", (await c.settle(driver, token, Complete())).status, SettleStatus.GONE)
    expect("an extend", (await c.extend(driver, token)).status, ExtendStatus.GONE)
    late = c.at(86_400)
    expect("reaped", await c.reap(driver, now=late), [])
    expect("promoted", await c.promote(driver, now=late), 0)
    expect("claimed", await c.claim_ids(driver, now=late), [])
    counts = (await driver.stats([QUEUE], now=late))[QUEUE].counts
    expect("counts", sum(counts.values()), 0)
    if Capability.RESULTS in c.info.capabilities:
        await c.put(driver, c.job(running.key.id), now=late)
        again = (await c.claim_one(driver, now=late)).token
        await driver.extend([Extension(again, logs=[b'"2"'])], lease=LEASE, now=late)
        logs = (await c.record(driver, running.key)).logs
        expect("logs of a new job with the id of a removed one", logs, (b'"2"',))
    expect("the job next door", await c.state(driver, other.key), JobState.RUNNING)
