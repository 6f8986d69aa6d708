"""INS: looking at jobs, and cleaning up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from stoker.driver import (
    After,
    Complete,
    Driver,
    JobKey,
    JobQuery,
    JobState,
    Retry,
)
from stoker.errors import InvalidInput
from stoker_conformance.bench import ERROR, QUEUE, Bench, rounds
from stoker_conformance.case import case
from stoker_conformance.expect import Violation, expect, expect_refusal, expect_that


@case(
    "INS-01",
    clauses=("stats.exact", "stats.cap"),
    fix="Count the rows; counters that are kept beside them drift. Every state is in the answer, "
    "and a count that stopped at the cap is named in `at_least`.",
)
async def stats_are_exact(c: Bench) -> None:
    """Counts are exact below the cap, running ones always; ages and pauses are right."""
    driver = await c.driver()
    await c.put(driver, *c.jobs(4), now=c.at(-20))
    await c.claim(driver, 3, now=c.at(-20))
    await c.put(driver, *c.jobs(2), now=c.at(-5))
    await c.put(driver, *c.jobs(5, run_at=After(timedelta(hours=1))))
    await c.one_in_each_state(driver, queue="parcels")
    stats = await driver.stats([QUEUE, "parcels", "empty"], now=c.now)

    def counts(queue: str) -> list[int]:
        return [stats[queue].counts[state] for state in JobState]

    expect("the queues in the answer", sorted(stats), sorted(["empty", QUEUE, "parcels"]))
    expect(f"{QUEUE}: scheduled, ready, running, ended", counts(QUEUE), [5, 3, 3, 0, 0, 0])
    expect("parcels: one of each", counts("parcels"), [1] * 6)
    expect("an empty queue", counts("empty"), [0] * 6)
    expect("age of the oldest ready job", stats[QUEUE].oldest_ready, timedelta(seconds=20))
    expect("without a ready job", stats["empty"].oldest_ready, None)
    expect("cut off at the cap", [stats[queue].at_least for queue in stats], [frozenset()] * 3)

    capped = (await driver.stats([QUEUE], cap=2, now=c.now))[QUEUE]
    expect("running jobs beyond the cap", capped.counts[JobState.RUNNING], 3)
    expect("scheduled jobs, capped", capped.counts[JobState.SCHEDULED], 2)
    expect("states cut off", capped.at_least, frozenset({JobState.SCHEDULED, JobState.READY}))


@case(
    "INS-03",
    clauses=("get.aligned", "states.aligned"),
    fix="Get answers in the order of the keys, with None in the place of what is not there.",
)
async def get_answers_in_each_state(c: Bench) -> None:
    """Get returns the record of each key in its place, whatever the state, and None without one."""
    driver = await c.driver()
    keys = await c.one_in_each_state(driver)
    unknown, elsewhere = JobKey(QUEUE, "unknown"), JobKey("parcels", keys[JobState.READY].id)
    wanted = [unknown, *reversed(keys.values()), elsewhere]
    expected = [None, *reversed(keys), None]
    records = await driver.get(wanted)
    seen = [record and record.state for record in records]
    expect("the states of the records, in order", seen, expected)
    expect("the states, in order", await driver.states(wanted), expected)
    for state, key in keys.items():
        record = await c.record(driver, key)
        expect("key and payload", (record.key, record.name), (key, "post.deliver"))
        expect(f"terminal: {state}", record.is_terminal, state in list(keys)[:3])
        expect("finished_at", record.finished_at, c.now if record.is_terminal else None)
        running = state is JobState.RUNNING
        expect("expires_at", record.expires_at, c.at(60) if running else None)


@case(
    "INS-04",
    clauses=("search.complete", "search.order"),
    fix="Page by the key of the last record, in an order that never changes for a job, not by "
    "offset: inserts and deletes move offsets.",
)
async def pages_are_complete_under_inserts(c: Bench) -> None:
    """In either direction every job that exists for the whole scan appears exactly once."""
    driver = await c.driver()
    jobs = c.jobs(25)
    await c.put(driver, *jobs)
    expected = [job.key.id for job in jobs]
    for ids in (None, frozenset(expected)):
        forwards = await _scan(c, driver, JobQuery(ids=ids, limit=4), expected)
        backwards = await _scan(c, driver, JobQuery(ids=ids, newest_first=True, limit=4), expected)
        reverse = forwards == backwards[::-1]
        expect_that("one direction is the reverse of the other", reverse, (forwards, backwards))


@case(
    "INS-05",
    clauses=("stats.consistent", "operation.concurrent"),
    fix="Counts are taken of one moment, from the rows themselves.",
)
async def stats_hold_under_load(c: Bench) -> None:
    """While jobs run, no count is ever negative, and no job is counted twice."""
    driver, watcher = await c.drivers(2)
    number = c.pick(fast=60, full=300)
    await c.put(driver, *c.jobs(number, max_attempts=3))
    working = asyncio.create_task(_work_off(c, driver))
    try:
        while not working.done():
            stats = (await watcher.stats([QUEUE], now=c.now))[QUEUE]
            expect_that("no count is negative", min(stats.counts.values()) >= 0, stats)
            expect("jobs of all states", sum(stats.counts.values()), number)
            await asyncio.sleep(0)
        await working
    finally:
        working.cancel()
        await asyncio.wait([working])
    stats = (await watcher.stats([QUEUE], now=c.now))[QUEUE]
    expect("completed at the end", stats.counts[JobState.COMPLETED], number)


@case(
    "INS-07",
    clauses=("search.filters",),
    fix="All filters given have to match. Names, ids, tags and metadata are compared whole and as "
    "bytes; enqueued_from is inclusive, enqueued_to exclusive.",
)
async def every_filter_works(c: Bench) -> None:
    """Each filter of a search finds exactly the jobs that match, alone and together."""
    driver = await c.driver()
    await c.put(driver, c.job("a", name="post.send", tags=("red", "big"), metadata={"to": "x"}))
    await c.put(
        driver,
        c.job("b", name="post.Send", tags=("red",), metadata={"to": "x", "n": "1"}),
        now=c.at(10),
    )
    await c.put(
        driver, c.job("c", name="post.sender", tags=("redder",), metadata={"to": "X"}), now=c.at(20)
    )
    await c.put(driver, c.job("d", run_at=After(timedelta(hours=1))), now=c.at(30))
    await c.put(driver, c.job("e", queue="parcels", tags=("red",)), now=c.at(30))
    await c.claim_one(driver, now=c.at(40))  # the oldest: a

    everything = "abcd"
    for query, expected in (
        (JobQuery(), everything),
        (JobQuery(states=frozenset({JobState.RUNNING})), "a"),
        (JobQuery(states=frozenset({JobState.READY, JobState.SCHEDULED})), "bcd"),
        (JobQuery(states=frozenset()), ""),
        (JobQuery(names=frozenset({"post.send"})), "a"),
        (JobQuery(names=frozenset({"post.send", "post.sender"})), "ac"),
        (JobQuery(ids=frozenset({"b", "d", "e", "unknown"})), "bd"),
        (JobQuery(tags=frozenset({"red"})), "ab"),
        (JobQuery(tags=frozenset({"red", "big"})), "a"),
        (JobQuery(metadata={"to": "x"}), "ab"),
        (JobQuery(metadata={"to": "x", "n": "1"}), "b"),
        (JobQuery(metadata={"n": ""}), ""),
        (JobQuery(enqueued_from=c.at(10)), "bcd"),
        (JobQuery(enqueued_to=c.at(10)), "a"),
        (JobQuery(enqueued_from=c.at(10), enqueued_to=c.at(30)), "bc"),
        (JobQuery(tags=frozenset({"red"}), states=frozenset({JobState.READY})), "b"),
        (JobQuery(limit=1), everything),
    ):
        found = "".join(sorted([key.id for key in await _search(driver, query)]))
        expect(f"the ids found by {query}", found, expected)


@case(
    "INS-08",
    clauses=("queues.listed",),
    fix="`queues` names at least every queue that holds a job or a pause.",
)
async def queues_are_listed(c: Bench) -> None:
    """Every queue that holds a job, in whatever state, or a pause is listed once."""
    driver = await c.driver()
    keys = await c.one_in_each_state(driver)
    await c.put(driver, c.job(queue="parcels", run_at=After(timedelta(days=1))))
    await driver.pause("nobody-sends-here", True)
    for state, key in keys.items():
        if state is not JobState.COMPLETED:
            await driver.remove([key])
    listed = await driver.queues()
    missing = {QUEUE, "parcels", "nobody-sends-here"} - set(listed)
    expect("queues that are not listed", missing, set())
    expect("names in the list, against distinct ones", len(listed), len(set(listed)))


@case(
    "INS-10",
    clauses=("search.refused",),
    fix="`check_query` refuses limits; a cursor has to be recognised as one of the driver's own.",
)
async def a_nonsense_search_is_refused(c: Bench) -> None:
    """A limit out of range and a naive datetime are refused; a wrong cursor is no other error."""
    driver = await c.driver()
    await c.put(driver, *c.jobs(3))
    naive = c.now.replace(tzinfo=None)
    for query in (JobQuery(limit=0), JobQuery(limit=1_001), JobQuery(enqueued_from=naive)):
        await expect_refusal(f"{query}", driver.search(QUEUE, query), InvalidInput)
    for cursor in ("nonsense", "🦊", "0" * 300, "-1", "null"):
        try:  # where any text is a place in the order, none is nonsense
            await driver.search(QUEUE, JobQuery(), cursor)
        except InvalidInput:
            continue
        except Exception as error:
            seen = f"{type(error).__name__}: {error}"
            raise Violation(f"the cursor {cursor[:20]!r}", "InvalidInput", seen) from error


async def _scan(c: Bench, driver: Driver, query: JobQuery, expected: Sequence[str]) -> list[str]:
    """Read all pages while jobs come and go; return those of `expected` in the order they came."""
    seen: list[str] = []
    cursor: str | None = None
    async for number in rounds("a search"):
        page = await driver.search(QUEUE, query, cursor)
        expect_that("a page of 4 at most", len(page.records) <= 4, page)
        seen += [record.key.id for record in page.records if record.key.id in expected]
        cursor = page.cursor
        if cursor is None:
            break
        if number < 8:
            late = [c.job(f"{edge}-{c.job().key.id}") for edge in "az"]
            await c.put(driver, *late)
            await c.claim(driver, 1)
    expect("all ids, each once", sorted(seen), sorted(expected))
    return seen


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


async def _work_off(c: Bench, driver: Driver) -> None:
    number = 0
    async for _ in rounds("a claim"):
        leases = await c.claim(driver, 3)
        if not leases:
            break
        for lease in leases:
            number += 1
            again = number % 3 == 0 and lease.attempt < lease.max_attempts
            outcome = Retry(After(timedelta(0)), ERROR) if again else Complete()
            await c.finish(driver, lease.token, outcome)
            await asyncio.sleep(0)
