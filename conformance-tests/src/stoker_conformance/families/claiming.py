"""CLM: who gets which job."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

from stoker.driver import After, Complete, Driver, JobKey, JobState, Retry, Want
from stoker.errors import InvalidInput
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench, rounds
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_refusal, expect_that


@case(
    "CLM-01",
    clauses=("claim.limit", "claim.surplus"),
    fix="A claim must take no more than it returns: the limit belongs into the statement that "
    "takes, not behind it.",
)
async def a_claim_takes_no_more_than_its_limit(c: Bench) -> None:
    """A claim takes at most its limit, and what it leaves is claimable by others."""
    first, second = await c.drivers(2)
    jobs = c.jobs(5)
    await c.put(first, *jobs)
    claimed = await first.claim([Want(QUEUE, 2)], worker="worker-1", lease=LEASE, now=c.now)

    expect_that("one or two jobs come for a limit of 2", len(claimed.leases) in (1, 2), claimed)
    taken = [lease.token.key.id for lease in claimed.leases]
    states = await c.states(second, [job.key for job in jobs])
    expect("the jobs that run", states.count(JobState.RUNNING), len(taken))
    rest = await c.claim_ids(second)
    expect("all jobs, of both clients", sorted(taken + rest), [job.key.id for job in jobs])


@case(
    "CLM-02",
    clauses=("claim.queues", "claim.limit"),
    fix="Queues are compared whole and as bytes: no prefix, no pattern, no folding of case.",
)
async def a_claim_takes_from_its_queues_only(c: Bench) -> None:
    """A claim takes from the queues it names, each to its own limit, and from no other."""
    driver = await c.driver()
    names = ["mail", "mail2", "MAIL", "mai", "mail:eu", "mail_", "mai%", "mail*", "m?il", "email"]
    for name in names:
        await c.put(driver, *(c.job(f"{name}-{n}", queue=name) for n in range(3)))
    for name in names:
        expected = [f"{name}-{n}" for n in range(3)]
        expect(f"a claim from {name!r}", await c.claim_ids(driver, queue=name), expected)

    await c.put(driver, *c.jobs(4, queue="mail"), *c.jobs(4, queue="mail2"), *c.jobs(4))
    wants = [Want("mail", 1), Want("mail2", 3)]
    claimed = await driver.claim(wants, worker="worker-1", lease=LEASE, now=c.now)
    queues = [lease.token.key.queue for lease in claimed.leases]
    expect_that("one of mail at most", queues.count("mail") <= 1, queues)
    expect_that("three of mail2 at most", queues.count("mail2") <= 3, queues)
    expect_that("nothing from elsewhere", set(queues) <= {"mail", "mail2"}, queues)
    expect_that("at least one came", len(queues) > 0, queues)


@case(
    "CLM-03",
    clauses=("pause.holds", "pause.resume"),
    fix="A pause is kept in the store, and the claiming statement looks at it; a flag in the "
    "client is not seen by others.",
)
async def a_paused_queue_gives_no_jobs(c: Bench) -> None:
    """After a pause no client claims from the queue; after a resume everything is there."""
    admin, worker = await c.drivers(2)
    before, during, elsewhere = c.job(), c.job(), c.job(queue="parcels")
    await c.put(worker, before, elsewhere)
    await admin.pause(QUEUE, True)
    await admin.pause(QUEUE, True)
    await c.put(worker, during)

    expect("claims from a paused queue", await c.claim_ids(worker), [])
    expect("its first job", await c.state(worker, before.key), JobState.READY)
    expect("claims from another", await c.claim_ids(worker, queue="parcels"), [elsewhere.key.id])
    stats = await worker.stats([QUEUE, "parcels"], now=c.now)
    paused = (stats[QUEUE].paused, stats["parcels"].paused)
    expect("paused, as the stats say", paused, (True, False))
    await admin.pause(QUEUE, False)
    expect("claims after resume", await c.claim_ids(worker), [before.key.id, during.key.id])
    resumed = (await worker.stats([QUEUE], now=c.now))[QUEUE]
    expect("paused after resume", resumed.paused, False)


@case(
    "CLM-04",
    clauses=("claim.exclusive", "operation.concurrent"),
    fix="Two claims took the same job. Taking has to be one atomic step that looks at the state: "
    "a read followed by a write is a race.",
)
async def racing_clients_share_no_job(c: Bench) -> None:
    """Clients and tasks that claim at the same time get every job exactly once."""
    clients = await c.drivers(c.pick(fast=6, full=12))
    jobs = c.jobs(c.pick(fast=150, full=1_000))
    await c.put(clients[0], *jobs)
    racers = [client for client in clients for _ in range(2)]  # two tasks share each client
    batches = await asyncio.gather(*(_claim_until_empty(c, client) for client in racers))

    claimed = sorted(job_id for batch in batches for job_id in batch)
    twice = sorted({job_id for job_id in claimed if claimed.count(job_id) > 1})
    expect("jobs that were claimed more than once", twice, [])
    expect("the number of jobs claimed", len(claimed), len(jobs))


@case(
    "CLM-05",
    clauses=("claim.lease", "epoch.rises"),
    fix="A claim counts up the attempt and takes a new epoch from a counter of the queue that is "
    "never reset; it is not the attempt, and not a counter of the job.",
)
async def a_claim_notes_epoch_attempt_and_expiry(c: Bench) -> None:
    """A claim sets state, worker, times and attempt; its epoch is the highest of the queue."""
    driver = await c.driver()
    job = c.job(max_attempts=5)
    await c.put(driver, job)
    epochs: list[int] = []
    for attempt in (1, 2, 3):
        now = c.at(attempt)
        lease = await c.claim_one(driver, now=now, worker=f"worker-{attempt}")
        record = await c.record(driver, job.key)
        epochs.append(lease.token.epoch)
        expect("attempt of lease and record", (lease.attempt, record.attempt), (attempt, attempt))
        expect("the record's state", record.state, JobState.RUNNING)
        expect("the record's worker", record.worker, f"worker-{attempt}")
        expect("the record's epoch", record.epoch, lease.token.epoch)
        expect("claimed_at", (lease.claimed_at, record.claimed_at), (c.stored(now),) * 2)
        end = c.stored(now + LEASE)
        expect("expires_at", (lease.expires_at, record.expires_at), (end, end))
        await c.finish(driver, lease.token, Retry(After(timedelta(0)), ERROR), now=now)

    await c.put(driver, *c.jobs(3))
    epochs += sorted(lease.token.epoch for lease in await c.claim(driver))
    for client in (await c.driver(), driver):  # one after the other
        await c.put(driver, c.job())
        epochs.append((await c.claim_one(client)).token.epoch)
    rising = all(earlier < later for earlier, later in pairwise(epochs))
    expect_that("every epoch is greater than all before", rising and epochs[0] > 0, epochs)


@case(
    "CLM-06",
    clauses=("claim.nothing", "claim.refused"),
    fix="`check_claim` refuses what is wrong; a limit of 0 and an unknown queue are answered with "
    "no leases.",
)
async def a_claim_of_nothing_gets_nothing(c: Bench) -> None:
    """A limit of 0 and an unknown queue give no leases; a nonsense claim is refused."""
    driver = await c.driver()
    job = c.job()
    await c.put(driver, job)
    wants = [Want(QUEUE, 0), Want("nobody-knows-it", 5)]
    claimed = await driver.claim(wants, worker="worker-1", lease=LEASE, now=c.now)
    expect("leases of a limit of 0 and an unknown queue", claimed.leases, [])
    refused = {
        "a negative limit": [Want(QUEUE, -1)],
        "a queue named twice": [Want(QUEUE, 1), Want(QUEUE, 1)],
        "an empty name": [Want("", 1)],
    }
    for what, wanted in refused.items():
        claim = driver.claim(wanted, worker="worker-1", lease=LEASE, now=c.now)
        await expect_refusal(f"a claim with {what}", claim, InvalidInput)
    claim = driver.claim([Want(QUEUE, 1)], worker="worker-1", lease=timedelta(0), now=c.now)
    await expect_refusal("a lease of no length", claim, InvalidInput)
    expect("the job after all that", await c.state(driver, job.key), JobState.READY)


@case(
    "CLM-09",
    clauses=("claim.lost_reply", "operation.cancelled"),
    fix="A claim whose await was cancelled took jobs that no reap brings back: taking and noting "
    "the lease have to be one step.",
)
async def a_cancelled_claim_loses_no_job(c: Bench) -> None:
    """Jobs taken by a claim that was cancelled come back by reap, their attempt refunded."""
    driver = await c.driver()
    keys: list[JobKey] = []
    for turns in range(c.pick(fast=25, full=80)):
        job = c.job()
        keys.append(job.key)
        await c.put(driver, job)
        task = asyncio.ensure_future(
            driver.claim([Want(QUEUE, 5)], worker="worker-1", lease=LEASE, now=c.now)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await c.reap(driver, now=c.at(60))
    leases = await c.claim(driver, now=c.at(60))
    found = sorted(lease.token.key.id for lease in leases)
    expect("the jobs there after the reap", found, [key.id for key in keys])
    expect("their attempts", {lease.attempt for lease in leases}, {1})
    for lease in leases:
        await c.finish(driver, lease.token, Complete(), now=c.at(60))


async def _claim_until_empty(c: Bench, driver: Driver) -> list[str]:
    ids: list[str] = []
    async for _ in rounds("a claim"):
        claimed = await driver.claim([Want(QUEUE, 7)], worker="worker-1", lease=LEASE, now=c.now)
        ids += [lease.token.key.id for lease in claimed.leases]
        if not claimed.leases:
            break
    return ids
