"""ENQ: what a request may hold: batches, names, and what is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from stoker.driver import (
    IMMEDIATELY,
    After,
    At,
    Capability,
    Complete,
    Driver,
    Extension,
    JobKey,
    JobQuery,
    NewJob,
    Release,
    Settlement,
    SettleStatus,
    Token,
)
from stoker.errors import InvalidInput, PayloadTooLarge
from stoker_conformance.bench import LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_refusal, expect_that, expect_unchanged

_NASTY: Final = (
    "a",
    "A",
    "0",
    "00",
    "null",
    "None",
    " ",
    "ends with a space ",
    'it\'s "quoted" `and` more',
    "semi;colon -- comment",
    "back\\slash/slash/../..",
    "{braces}",
    "{",
    "}",
    "colon:star*question?[set]",
    "per%cent_under",
    "naïve",  # one code point for the ï
    "nai\u0308ve",  # two: other bytes, so another name
    "漢字",
    "🦊",
    "x" * 255,
    "ü" * 127,
)

_FORBIDDEN: Final = ("", "x" * 256, "ü" * 128, "line\nbreak", "nul\0", "bell\x07", "half\ud800")


@case(
    "ENQ-05",
    clauses=("batch.empty",),
    fix="An empty batch answers an empty list at once; many stores call it a syntax error.",
)
async def an_empty_batch_answers_an_empty_list(c: Bench) -> None:
    """Every operation takes an empty batch and answers with nothing."""
    driver = await c.driver()
    for name, call in _batched(c, driver).items():
        expect(f"{name} of nothing", await call([]), [])
    claimed = await driver.claim([], worker="worker-1", lease=LEASE, now=c.now)
    expect("a claim of no queues", claimed.leases, [])
    expect("when the next job of no queues is due", claimed.next_due_in, None)
    expect("a promote of no queues", (await driver.promote([], limit=5, now=c.now)).count, 0)
    reaped = await driver.reap([], limit=5, delay=timedelta(0), error=b'""', now=c.now)
    expect("a reap of no queues", reaped, [])
    expect("the stats of no queues", await driver.stats([], now=c.now), {})


@case(
    "ENQ-06",
    clauses=("batch.limits",),
    fix="`check_jobs`, `check_batch` and the other checks of `stoker.driver.checks` refuse what "
    "is too much. Call them before anything is sent, and split large statements inside.",
)
async def a_full_batch_passes_and_one_more_is_refused(c: Bench) -> None:
    """A batch of max_batch passes; one item more, or a byte too much, is refused whole."""
    driver = await c.driver()
    full = c.jobs(c.info.max_batch)
    await c.put(driver, *full)
    more = [*full, c.job()]
    requests: dict[str, list[Any]] = {
        "enqueue": c.jobs(c.info.max_batch + 1),
        "settle": [Settlement(Token(job.key, 1), Complete()) for job in more],
        "extend": [Extension(Token(job.key, 1)) for job in more],
    }
    for name, call in _batched(c, driver).items():
        items = requests.get(name) or [job.key for job in more]
        await expect_refusal(f"{name} of {len(items):,} items", call(items), InvalidInput)
    expect("the jobs after refusals", len(await c.claim(driver, len(more))), len(full))

    small, largest = c.job(queue="parcels"), c.job(payload=b"1" * c.info.max_payload)
    large = c.job(payload=b"1" * (c.info.max_payload + 1), queue="parcels")
    await c.put(driver, largest)
    await expect_refusal(
        "a payload that is a byte too large",
        driver.enqueue([small, large], now=c.now),
        PayloadTooLarge,
    )
    expect("what a refused batch stored", await c.claim_ids(driver, queue="parcels"), [])


@case(
    "ENQ-07",
    clauses=("names.bytes", "names.refused"),
    fix="Names are compared as bytes. Pass them as parameters, never inside a statement or a "
    "pattern; use a binary collation; escape what your keys use as a separator.",
)
async def nasty_names_are_kept_apart(c: Bench) -> None:
    """Any legal text is a queue and an id of its own; others are refused."""
    driver = await c.driver()
    for name in _NASTY:
        await c.put(driver, *(c.job(job_id, queue=name) for job_id in _NASTY))
        await driver.pause(name, False)
    listed = set(await driver.queues())
    expect_that("every queue is listed", set(_NASTY) <= listed, set(_NASTY) - listed)
    for name in _NASTY:
        found = await driver.search(name, JobQuery(ids=frozenset({"{braces}"})))
        expect_that(
            f"a search of {name[:20]!r} by id finds one at most", len(found.records) <= 1, found
        )
        leases = await c.claim(driver, queue=name)
        ids = sorted(lease.token.key.id for lease in leases)
        expect(f"the ids claimed from the queue {name[:20]!r}", ids, sorted(_NASTY))
        answers = await driver.settle(
            [Settlement(lease.token, Complete()) for lease in leases], now=c.now
        )
        applied = {answer.status for answer in answers}
        expect(f"the settlements in {name[:20]!r}", applied, {SettleStatus.APPLIED})
    for name in _FORBIDDEN:
        for job in (c.job(queue=name), NewJob(JobKey(QUEUE, name), "post.deliver")):
            await expect_refusal(
                f"the name {name[:20]!r}", driver.enqueue([job], now=c.now), InvalidInput
            )


@case(
    "ENQ-12",
    clauses=("input.refused", "time.latest"),
    fix="Call `check_jobs` first: nothing of a batch is stored when one of it is wrong.",
)
async def bad_input_is_refused_whole(c: Bench) -> None:
    """A batch with one wrong value is refused, and nothing of it is stored."""
    driver = await c.driver()
    naive = datetime(2031, 1, 1)  # noqa: DTZ001 - the naive datetime is what is tested
    wrong: list[dict[str, Any]] = [
        {"run_at": After(timedelta(seconds=-1))},
        {"run_at": At(naive)},
        {"run_at": At(datetime(2251, 1, 1, tzinfo=UTC))},
        {"expires": At(naive)},
        {"max_attempts": 0},
        {"max_crashes": -1},
        {"tags": ("",)},
        {"metadata": {"key": "x" * 4_097}},
        {"metadata": {"": "value"}},
        {"headers": {"key": "nul\0"}},
        {"headers": {f"key-{number}": "" for number in range(101)}},
        {"tags": tuple(f"tag-{number}" for number in range(101))},
        {"timeout": timedelta(seconds=-1)},
        {"payload_version": -1},
        {"name": ""},
    ]
    if Capability.PRIORITY in c.info.capabilities:
        wrong += [{"priority": 10}, {"priority": -1}]
    for fields in wrong:
        good = c.job()
        refused = driver.enqueue([good, c.job(**fields)], now=c.now)
        await expect_refusal(f"an enqueue with {str(fields)[:60]}", refused, InvalidInput)
        expect("the rest of the batch", await c.state(driver, good.key), None)


@case(
    "ENQ-13",
    clauses=("input.twice",),
    fix="`check_keys`, `check_settlements` and `check_extensions` refuse a key or token that is "
    "named twice; in one statement it would be counted once.",
)
async def a_key_twice_in_one_call_is_refused(c: Bench) -> None:
    """The same key or token twice in one call is refused, except in an enqueue."""
    driver = await c.driver()
    job, other = c.job(), c.job()
    await c.put(driver, job, other)
    token = (await c.claim_one(driver)).token
    before = [await c.record(driver, item.key) for item in (job, other)]
    twice: dict[str, list[Any]] = {
        "settle": [Settlement(token, Complete()), Settlement(token, Release(IMMEDIATELY))],
        "extend": [Extension(token), Extension(token)],
    }
    for name, call in _batched(c, driver).items():
        if name != "enqueue":
            items = twice.get(name) or [job.key, other.key, job.key]
            await expect_refusal(f"{name} with an item twice", call(items), InvalidInput)
    for record in before:
        after = await c.record(driver, record.key)
        expect_unchanged("a job after refusals", after, record)


def _batched(c: Bench, driver: Driver) -> dict[str, Callable[[list[Any]], Awaitable[list[Any]]]]:
    """Return every operation whose batch is limited, as a call with one argument."""
    return {
        "enqueue": lambda items: driver.enqueue(items, now=c.now),
        "settle": lambda items: driver.settle(items, now=c.now),
        "extend": lambda items: driver.extend(items, lease=LEASE, now=c.now),
        "get": driver.get,
        "states": driver.states,
        "cancel": lambda items: driver.cancel(items, reason="no", now=c.now),
        "retry": lambda items: driver.retry(items, now=c.now),
        "reschedule": lambda items: driver.reschedule(items, IMMEDIATELY, now=c.now),
        "remove": driver.remove,
    }
