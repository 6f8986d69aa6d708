"""ENQ: how much a call may carry, and bad values in whatever operation they come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, cast

from stoker.driver import (
    After,
    At,
    Cancel,
    Capability,
    Complete,
    Driver,
    Extension,
    JobKey,
    Keep,
    Outcome,
    Presence,
    Release,
    Retention,
    Retry,
    Schedules,
    Settlement,
    Snooze,
    Token,
    Want,
    When,
)
from stoker.errors import InvalidInput
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_refusal, expect_unchanged

_NAIVE: Final = datetime(2031, 3, 15)  # noqa: DTZ001 - the naive datetime is what is tested
_BAD_TIMES: Final[tuple[When, ...]] = (
    After(timedelta(microseconds=-1)),
    At(_NAIVE),
    At(datetime(2251, 1, 1, tzinfo=UTC)),
)

_Calls = dict[str, Callable[[], Awaitable[Any]]]


@case(
    "ENQ-14",
    clauses=("batch.bytes",),
    fix="`check_jobs`, `check_settlements` and `check_extensions` count the bytes of a call. Call "
    "them before anything is sent.",
)
async def a_call_carries_so_many_bytes_and_no_more(c: Bench) -> None:
    """A batch of max_batch_bytes passes; one that carries more is refused whole."""
    driver = await c.driver()
    number, rest = divmod(c.info.max_batch_bytes, c.info.max_payload)
    payload = b"1" * c.info.max_payload
    full = [*c.jobs(number, payload=payload), c.job(payload=payload[:rest] or b"")]
    too_much = c.jobs(number + 1, payload=payload, queue="parcels")
    await expect_refusal(
        f"an enqueue of {number + 1} payloads of max_payload",
        driver.enqueue(too_much, now=c.now),
        InvalidInput,
    )
    expect("what a refused batch stored", await c.claim_ids(driver, queue="parcels"), [])
    await c.put(driver, *full)
    if Capability.RESULTS in c.info.capabilities:
        tokens = [Token(job.key, 1) for job in too_much]
        results = [Settlement(token, Complete(payload)) for token in tokens]
        refused = driver.settle(results, now=c.now)
        await expect_refusal("results of more than max_batch_bytes", refused, InvalidInput)
        reports = [Extension(token, progress=payload) for token in tokens]
        extended = driver.extend(reports, lease=LEASE, now=c.now)
        await expect_refusal("progress of more than max_batch_bytes", extended, InvalidInput)


@case(
    "ENQ-15",
    clauses=("input.refused", "time.latest"),
    fix="Every operation checks its values before it changes anything: `stoker.driver.checks` has "
    "a check for each, and `to_micros` refuses naive datetimes.",
)
async def bad_values_are_refused_everywhere(c: Bench) -> None:
    """A bad time, length or text is refused by every operation, and nothing is changed."""
    driver = await c.driver()
    waiting, running = c.job(), c.job(queue="running")
    await c.put(driver, waiting, running)
    token = (await c.claim_one(driver, queue="running")).token
    before = [await c.record(driver, job.key) for job in (waiting, running)]
    calls = _bad_settlements(c, driver, token) | _bad_changes(c, driver, waiting.key)
    if Capability.SCHEDULE in c.info.capabilities:
        calls |= _bad_schedules(c, driver)
    if Capability.PRESENCE in c.info.capabilities:
        calls |= _bad_presence(c, driver)
    for what, call in calls.items():
        await expect_refusal(what, call(), InvalidInput)
    for record in before:
        after = await c.record(driver, record.key)
        expect_unchanged(f"a {record.state} job after refusals", after, record)


def _bad_settlements(c: Bench, driver: Driver, token: Token) -> _Calls:
    outcomes: list[Outcome] = [
        outcome
        for when in _BAD_TIMES
        for outcome in (Retry(when, ERROR), Release(when), Snooze(when))
    ]
    outcomes += [Cancel("x" * 4_097), Cancel("nul\0")]
    return {
        f"settle with {str(outcome)[:70]}": partial(
            driver.settle, [Settlement(token, outcome)], now=c.at(1)
        )
        for outcome in outcomes
    }


def _bad_changes(c: Bench, driver: Driver, key: JobKey) -> _Calls:
    nothing, far = timedelta(0), c.at(86_400)
    wants = [Want(QUEUE, 1)]
    calls: _Calls = {
        f"reschedule to {when}": partial(driver.reschedule, [key], when, now=c.at(1))
        for when in _BAD_TIMES
    }
    return calls | {
        "cancel with a long reason": lambda: driver.cancel([key], reason="x" * 4_097, now=c.now),
        "cancel with a NUL": lambda: driver.cancel([key], reason="nul\0", now=c.now),
        "reap with a negative delay": lambda: driver.reap(
            ["running"], limit=1, delay=timedelta(seconds=-1), error=ERROR, now=far
        ),
        "reap with a long error": lambda: driver.reap(
            ["running"], limit=1, delay=nothing, error=b"1" * 8_193, now=far
        ),
        "claim at a naive now": lambda: driver.claim(wants, worker="w", lease=LEASE, now=_NAIVE),
        "cancel at a naive now": lambda: driver.cancel([key], reason="no", now=_NAIVE),
        "promote at a naive now": lambda: driver.promote([QUEUE], limit=1, now=_NAIVE),
        "pause of a queue without a name": lambda: driver.pause("", True),
        "purge of all but a negative number": lambda: driver.purge(
            QUEUE, Retention(failed=Keep(newest=-1)), limit=1, now=far
        ),
        "purge of what has a negative age": lambda: driver.purge(
            QUEUE, Retention(failed=Keep(max_age=timedelta(seconds=-1))), limit=1, now=far
        ),
    }


def _bad_schedules(c: Bench, driver: Driver) -> _Calls:
    book = cast(Schedules, driver)
    calls: _Calls = {
        f"put_schedule at {when}": partial(
            book.put_schedule, QUEUE, "daily", b"{}", when, now=c.now
        )
        for when in _BAD_TIMES
    }
    elsewhere = c.job(queue="parcels")
    return calls | {
        "put_schedule without a name": lambda: book.put_schedule(
            QUEUE, "", b"{}", At(c.now), now=c.now
        ),
        "fire_schedule with a naive tick": lambda: book.fire_schedule(
            QUEUE, "daily", 1, _NAIVE, [], now=c.now
        ),
        "fire_schedule with a job of another queue": lambda: book.fire_schedule(
            QUEUE, "daily", 1, None, [elsewhere], now=c.now
        ),
    }


def _bad_presence(c: Bench, driver: Driver) -> _Calls:
    site = cast(Presence, driver)
    return {
        "announce for no time": lambda: site.announce(
            "worker-1", [QUEUE], timedelta(0), b"{}", now=c.now
        ),
        "announce without a name": lambda: site.announce("", [QUEUE], LEASE, b"{}", now=c.now),
    }
