"""ORD: which job comes first."""

from __future__ import annotations

from stoker.driver import Capability, Driver
from stoker_conformance.bench import Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect


@case(
    "ORD-01",
    clauses=("order.ready",),
    fix="Order by the moment of becoming ready, not by id and not newest first.",
)
async def first_ready_first_claimed(c: Bench) -> None:
    """Jobs of one priority are claimed in the order of becoming ready."""
    driver = await c.driver()
    ids = ["m", "z", "a", "k", "b", "y", "c"]
    for second, job_id in enumerate(ids):
        await c.put(driver, c.job(job_id), now=c.at(second))

    expect("the first two", await _claim(c, driver, 2), {"m", "z"})
    expect("the third", await _claim(c, driver, 1), {"a"})
    expect("the next three", await _claim(c, driver, 3), {"k", "b", "y"})
    expect("the last", await _claim(c, driver, 1), {"c"})


@case(
    "ORD-02",
    clauses=("order.producers",),
    fix="Number the jobs in the store, in the step that stores them; counters and clocks of "
    "clients do not agree.",
)
async def order_holds_across_producers(c: Bench) -> None:
    """A job whose enqueue returned before another began comes first, whoever the producers are."""
    first, second, consumer = await c.drivers(3)
    ids = ["d", "c", "b", "a", "f", "e"]
    for number, job_id in enumerate(ids):
        producer = first if number % 2 else second
        await c.put(producer, c.job(job_id), now=c.at(number))
    for job_id in ids:
        expect("the next job", await _claim(c, consumer, 1), {job_id})


@case(
    "ORD-03",
    clauses=("order.priority",),
    needs=(Capability.PRIORITY,),
    fix="Order by priority, the highest first, and then by the moment of becoming ready.",
)
async def higher_priority_comes_first(c: Bench) -> None:
    """A job of a higher priority is claimed first, whenever it came."""
    driver = await c.driver()
    for second, (job_id, priority) in enumerate(
        [("low", 2), ("plain-1", 4), ("high-1", 7), ("plain-2", 4), ("high-2", 7)]
    ):
        await c.put(driver, c.job(job_id, priority=priority), now=c.at(second))
    for expected in ("high-1", "high-2", "plain-1", "plain-2", "low"):
        expect("the next job", await _claim(c, driver, 1), {expected})


@case(
    "ORD-04",
    clauses=("order.range",),
    needs=(Capability.PRIORITY,),
    fix="All ten priorities are distinct: 9 is the highest, 0 the lowest, 4 the default.",
)
async def every_priority_of_the_range_counts(c: Bench) -> None:
    """From 9 down to 0, every priority comes before the next, and 4 is the default."""
    driver = await c.driver()
    for second, priority in enumerate([3, 0, 9, 5, 8, 1, 6, 2, 7]):
        await c.put(driver, c.job(str(priority), priority=priority), now=c.at(second))
    await c.put(driver, c.job("4"), now=c.at(20))
    for priority in range(9, -1, -1):
        expect("the next job", await _claim(c, driver, 1), {str(priority)})


@case(
    "ORD-05",
    clauses=("order.batch",),
    fix="Number the jobs of a batch as they stand in it. Where rows are locked in another order, "
    "so that batches do not deadlock, the numbers do not follow that order.",
)
async def a_batch_keeps_its_order(c: Bench) -> None:
    """Jobs of one batch are claimed in its order, whatever their ids are."""
    driver = await c.driver()
    ids = ["m", "z", "a", "k", "b", "y", "c"]
    await driver.enqueue([c.job(job_id) for job_id in ids], now=c.now)
    for job_id in ids:
        expect("the next job", await _claim(c, driver, 1), {job_id})


async def _claim(c: Bench, driver: Driver, number: int) -> set[str]:
    return set(await c.claim_ids(driver, number, now=c.at(60)))
