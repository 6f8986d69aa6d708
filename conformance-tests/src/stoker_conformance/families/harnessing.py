"""HAR: the harness gives every case a store of its own."""

from stoker.driver import Complete, Driver, EnqueueStatus, JobQuery, JobState, Want
from stoker_conformance.bench import LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that, expect_unchanged


@case(
    "HAR-01",
    clauses=("harness.isolated",),
    fix="Two namespaces share something. Give each a folder, schema, database or key prefix of "
    "its own, and let `connect` put it into everything that the client reads or writes.",
)
async def namespaces_do_not_see_each_other(c: Bench) -> None:
    """Two namespaces do not see each other's jobs, ids or pauses."""
    here = await c.driver()
    there = await c.driver(await c.another_namespace())
    job = c.job("same-id")
    await c.put(here, job, c.job())
    await there.pause(QUEUE, True)

    expect("a record of the other namespace", await there.get([job.key]), [None])
    expect("jobs claimed from this namespace", len(await c.claim(here)), 2)
    [answer] = await there.enqueue([c.job("same-id")], now=c.now)
    expect("an id of the other namespace", answer.status, EnqueueStatus.INSERTED)
    await there.pause(QUEUE, False)
    expect("jobs claimed from the other", await c.claim_ids(there), ["same-id"])


@case(
    "HAR-02",
    clauses=("harness.empty",),
    fix="`namespace` handed out a store that was used before, or one whose name repeats.",
)
async def a_fresh_namespace_is_empty(c: Bench) -> None:
    """A fresh namespace is empty, and so is the one after it."""
    first = await c.driver()
    await _expect_empty(c, first)
    await c.put(first, *c.jobs(3))
    await c.claim_one(first)
    await first.pause(QUEUE, True)

    await _expect_empty(c, await c.driver(await c.another_namespace()))


@case(
    "HAR-03",
    clauses=("client.killed",),
    fix="The store noticed that a client was killed, or suffers from it. A lease ends by "
    "settlement or reap alone, however its client ended; what a dead client had locked is free. If "
    "no process could be started: harness and namespace have to be picklable.",
)
async def a_killed_client_leaves_the_store_as_it_is(c: Bench) -> None:
    """A client that is killed, and never closed, changes nothing in the store for others."""
    other, killed = await c.driver(), await c.actor()
    held, free = c.jobs(2)
    await c.put(other, held)
    lease = await c.claim_one(killed.driver, worker="worker-that-dies")
    await c.put(killed.driver, free)
    before = await c.record(other, held.key)
    await killed.kill()

    expect_unchanged("the job that it holds", await c.record(other, held.key), before)
    expect("jobs for others", await c.claim_ids(other), [free.key.id])
    fresh = await c.driver()
    await c.put(fresh, c.job("new"))
    expect("a new client's job, to the old one", await c.claim_ids(other), ["new"])
    state = await c.finish(fresh, lease.token, Complete(), now=c.at(1))
    expect("the state of the job, completed for the dead client", state, JobState.COMPLETED)


async def _expect_empty(c: Bench, driver: Driver) -> None:
    claimed = await driver.claim([Want(QUEUE, 10)], worker="worker-1", lease=LEASE, now=c.now)
    expect("jobs that an empty store has to offer", claimed.leases, [])
    expect("when the next job of an empty store is due", claimed.next_due_in, None)
    expect("records of an empty store", (await driver.search(QUEUE, JobQuery())).records, [])
    stats = (await driver.stats([QUEUE], now=c.now))[QUEUE]
    expect("counts of an empty store", sum(stats.counts.values()), 0)
    expect_that("a queue of an empty store is not paused", not stats.paused, stats)
