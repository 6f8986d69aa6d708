"""LSE: how long a lease holds."""

from __future__ import annotations

from datetime import timedelta

from stoker.driver import (
    Complete,
    ExtendStatus,
    Extension,
    JobState,
    KeepFor,
    Settlement,
    SettleStatus,
)
from stoker.errors import InvalidInput
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_refusal, expect_that


@case(
    "LSE-01",
    clauses=("lease.held", "claim.no_takeover", "reap.returns"),
    fix="Only a reap ends an expired lease. Claim never takes over a running job, and a reap "
    "leaves everything of the job but its lease as it was.",
)
async def a_lost_worker_costs_no_job(c: Bench) -> None:
    """A job is held until its lease expires; then a reap and a claim bring it back whole."""
    worker, other = await c.drivers(2)
    job = c.job(payload=b'{"to":"Zo\xc3\xab"}', metadata={"customer": "c-17"})
    await c.put(worker, job)
    first = await c.claim_one(worker, worker="worker-1")

    expect("claimed while the lease holds", await c.claim_ids(other, now=c.at(59)), [])
    expect("claimed after expiry, before a reap", await c.claim_ids(other, now=c.at(61)), [])
    reaped = await c.reap_one(other, now=c.at(61))
    expect("the token that was reaped", reaped.lease.token, first.token)
    expect("the worker that lost it", reaped.worker, "worker-1")
    expect("where the job went", reaped.state, JobState.READY)
    expect("the crashes of the reaped lease", reaped.lease.crashes, 1)

    second = await c.claim_one(other, now=c.at(62), worker="worker-2")
    expect("the payload", second.payload, job.payload)
    expect("the metadata", dict(second.metadata), dict(job.metadata))
    expect("attempt and crashes", (second.attempt, second.crashes), (1, 1))
    expect_that("the epoch rose", second.token.epoch > first.token.epoch, second.token)


@case(
    "LSE-02",
    clauses=("extend.moves",),
    fix="Extend sets expires_at = now + lease, in what reap looks at too.",
)
async def extend_moves_the_expiry(c: Bench) -> None:
    """An extended lease is reaped at its new expiry and not at its old one."""
    worker, reaper = await c.drivers(2)
    job = c.job()
    await c.put(worker, job)
    token = (await c.claim_one(worker)).token
    answer = await c.extend(worker, token, now=c.at(45))
    expect("the answer", (answer.status, answer.cancel_reason), (ExtendStatus.EXTENDED, None))
    expect("expires_at after an extend", (await c.record(reaper, job.key)).expires_at, c.at(105))
    expect("reaped at the old expiry", await c.reap(reaper, now=c.at(60)), [])
    expect("reaped before the new one", await c.reap(reaper, now=c.at(105) - c.tick), [])

    await c.extend(worker, token, now=c.at(50), lease=timedelta(seconds=20))
    expect("reaped after it was moved back", len(await c.reap(reaper, now=c.at(70))), 1)


@case(
    "LSE-03",
    clauses=("lease.length",),
    fix="A unit is wrong somewhere: seconds, milliseconds and microseconds mixed, or whole "
    "seconds kept where the info declares better.",
)
async def leases_of_any_length(c: Bench) -> None:
    """Leases from 5 milliseconds to a day expire exactly when they should."""
    driver = await c.driver()
    for lease in (
        timedelta(milliseconds=5),
        timedelta(seconds=1),
        timedelta(seconds=90.5),
        timedelta(days=1),
    ):
        await c.put(driver, c.job())
        end = c.stored(c.now + lease)
        expect(
            f"expires_at of a lease of {lease}",
            (await c.claim_one(driver, lease=lease)).expires_at,
            end,
        )
        expect(f"{lease}: reaped a tick early", await c.reap(driver, now=end - c.tick), [])
        expect(f"{lease}: reaped at its end", len(await c.reap(driver, now=end)), 1)
        token = (await c.claim_one(driver, now=end)).token
        longer = c.stored(end + 2 * lease)
        await c.extend(driver, token, lease=2 * lease, now=end)
        expect(f"2 x {lease}: a tick early", await c.reap(driver, now=longer - c.tick), [])
        await c.finish(driver, token, Complete(), now=longer)


@case(
    "LSE-04",
    clauses=("extend.batch", "answers.aligned"),
    fix="A batch of max_batch tokens is one call; split what the store cannot take in one.",
)
async def a_full_batch_of_tokens(c: Bench) -> None:
    """A call extends, and another settles, as many tokens as max_batch allows."""
    driver = await c.driver()
    await c.put(driver, *c.jobs(c.info.max_batch))
    leases = await c.claim(driver, c.info.max_batch)
    tokens = [lease.token for lease in leases]
    extended = await driver.extend(
        [Extension(token) for token in tokens], lease=LEASE, now=c.at(30)
    )
    statuses = {answer.status for answer in extended}
    expect("the answers", (len(extended), statuses), (len(tokens), {ExtendStatus.EXTENDED}))
    expect("reaped at the old expiry", await c.reap(driver, now=c.at(60)), [])
    settled = await driver.settle([Settlement(token, Complete()) for token in tokens], now=c.now)
    expect(
        "the answers to a full batch of settlements",
        (len(settled), {(answer.status, answer.state) for answer in settled}),
        (len(tokens), {(SettleStatus.APPLIED, JobState.COMPLETED)}),
    )
    counts = (await driver.stats([QUEUE], now=c.now))[QUEUE].counts
    expect("running jobs", counts[JobState.RUNNING], 0)


@case(
    "LSE-05",
    clauses=("extend.dead",),
    fix="Extend compares the epoch and the state: a job that ended is not extended.",
)
async def a_settled_job_cannot_be_extended(c: Bench) -> None:
    """An extend after the settlement is STALE, or GONE when the record was not kept."""
    driver = await c.driver()
    gone = KeepFor(completed=timedelta(0))
    for keep, expected in ((None, ExtendStatus.STALE), (gone, ExtendStatus.GONE)):
        job = c.job(keep=keep)
        await c.put(driver, job)
        token = (await c.claim_one(driver)).token
        await c.finish(driver, token, Complete())
        before = await driver.get([job.key])
        answer = await c.extend(driver, token, now=c.at(5))
        expect(f"an extend after settle, keep={keep}", answer.status, expected)
        expect("the record", await driver.get([job.key]), before)


@case(
    "LSE-06",
    clauses=("lease.boundary",),
    fix="Expired is expires_at <= now: at the very moment the lease is over.",
)
async def a_lease_ends_at_its_very_moment(c: Bench) -> None:
    """At expires_at a lease is expired; a tick before, it is not."""
    driver = await c.driver()
    await c.put(driver, *c.jobs(3))
    await c.claim(driver)
    end = c.stored(c.now + LEASE)
    early = await driver.reap([QUEUE], limit=10, delay=timedelta(0), error=ERROR, now=end - c.tick)
    expect("reaped a tick before the end", early, [])
    expect("reaped at the end", len(await c.reap(driver, now=end)), 3)


@case(
    "LSE-07",
    clauses=("lease.refused",),
    fix="`check_lease` refuses a lease that is over before it begins.",
)
async def a_lease_of_no_length_is_refused(c: Bench) -> None:
    """An extend by nothing, or by less, is refused and changes nothing."""
    driver = await c.driver()
    job = c.job()
    await c.put(driver, job)
    token = (await c.claim_one(driver)).token
    before = await c.record(driver, job.key)
    for lease in (timedelta(0), timedelta(seconds=-1)):
        extend = driver.extend([Extension(token)], lease=lease, now=c.at(5))
        await expect_refusal(f"an extend by {lease}", extend, InvalidInput)
    expect("the record", await c.record(driver, job.key), before)
