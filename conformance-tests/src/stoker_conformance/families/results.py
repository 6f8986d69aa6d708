"""RES: what a run leaves to read."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from stoker.driver import (
    After,
    Capability,
    Complete,
    Extension,
    JobState,
    Keep,
    Release,
    Retention,
    Retry,
    Settlement,
    SettleStatus,
)
from stoker.errors import InvalidInput
from stoker_conformance.bench import ERROR, LEASE, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_refusal, expect_that, expect_unchanged

_NEEDS: Final = (Capability.RESULTS,)


@case(
    "RES-01",
    clauses=("results.kept",),
    needs=_NEEDS,
    fix="Keep the result as bytes with the record until that is purged.",
)
async def a_result_is_kept_with_the_record(c: Bench) -> None:
    """A result comes back byte for byte to any client, until the record is purged."""
    worker, reader = await c.drivers(2)
    results = [
        None,
        b"null",
        b' { "total" : 1.10 } ',
        '"Zoë 🦊"'.encode(),
        b"1" * c.info.max_payload,
    ]
    for result in results:
        job = c.job()
        await c.put(worker, job)
        token = (await c.claim_one(worker)).token
        await c.finish(worker, token, Complete(result), now=c.at(1))
        record = await c.record(reader, job.key)
        expect_that("the result is the one given", record.result == result, record.result)
        await reader.purge(QUEUE, Retention(completed=Keep(newest=0)), limit=5, now=c.at(2))
        expect("the record after a purge", await c.state(reader, job.key), None)

    await c.put(worker, c.job())
    token = (await c.claim_one(worker)).token
    large = Settlement(token, Complete(b"1" * (c.info.max_payload + 1)))
    await expect_refusal(
        "a result that is too large", worker.settle([large], now=c.now), InvalidInput
    )
    expect("the job afterwards", await c.state(worker, token.key), JobState.RUNNING)


@case(
    "RES-02",
    clauses=("results.reports", "settle.reports", "extend.reports"),
    needs=_NEEDS,
    fix="Extend and settle store progress and append logs for valid tokens only, in the step "
    "that looks at the token. A progress of None leaves the stored one.",
)
async def reports_come_with_signs_of_life(c: Bench) -> None:
    """Progress and logs are stored by extend and settle, and never with a dead token."""
    driver = await c.driver()
    job = c.job(max_attempts=5)
    await c.put(driver, job)
    token = (await c.claim_one(driver)).token

    async def expect_reports(progress: bytes | None, *logs: bytes) -> None:
        record = await c.record(driver, job.key)
        expect("progress and logs", (record.progress, record.logs), (progress, logs))

    await expect_reports(None)
    await driver.extend([Extension(token, b"0.1", [b'"a"', b'"b"'])], lease=LEASE, now=c.at(1))
    await expect_reports(b"0.1", b'"a"', b'"b"')
    await driver.extend([Extension(token, logs=[b'"c"'])], lease=LEASE, now=c.at(2))
    await expect_reports(b"0.1", b'"a"', b'"b"', b'"c"')
    last = Settlement(token, Retry(After(timedelta(0)), ERROR), b"0.2", [b'"d"'])
    await driver.settle([last], now=c.at(3))
    await expect_reports(b"0.2", b'"a"', b'"b"', b'"c"', b'"d"')

    before = await c.record(driver, job.key)
    [replayed] = await driver.settle([last], now=c.at(4))
    expect("the same again", replayed.status, SettleStatus.ALREADY)
    await driver.extend([Extension(token, b"0.9", [b'"dead"'])], lease=LEASE, now=c.at(5))
    stale = Settlement(token, Complete(b'"dead"'), b"0.9", [b'"dead"'])
    await driver.settle([stale], now=c.at(6))
    expect_unchanged("the job after dead reports", await c.record(driver, job.key), before)

    token = (await c.claim_one(driver, now=c.at(7))).token
    done = Settlement(token, Complete(b"1"), b"1.0", [b'"e"'])
    await driver.settle([done], now=c.at(8))
    await expect_reports(b"1.0", b'"a"', b'"b"', b'"c"', b'"d"', b'"e"')


@case(
    "RES-03",
    clauses=("logs.bounded",),
    needs=_NEEDS,
    fix="Keep the newest 100 log entries, oldest first, in the step that appends.",
)
async def logs_are_bounded(c: Bench) -> None:
    """Of many log entries the newest hundred are kept, oldest first; too large ones are refused."""
    driver = await c.driver()
    job = c.job()
    await c.put(driver, job)
    token = (await c.claim_one(driver)).token
    entries = [b'"entry %d"' % number for number in range(230)]
    for start in range(0, 90, 30):
        report = Extension(token, logs=entries[start : start + 30])
        await driver.extend([report], lease=LEASE, now=c.at(1))
    await driver.extend([Extension(token, logs=entries[90:220])], lease=LEASE, now=c.at(2))
    kept = (await c.record(driver, job.key)).logs
    expect_that("the newest hundred are kept", kept == tuple(entries[120:220]), kept)
    last = Settlement(token, Release(After(timedelta(0))), logs=entries[220:])
    await driver.settle([last], now=c.at(3))
    kept = (await c.record(driver, job.key)).logs
    expect_that("the newest hundred are kept", kept == tuple(entries[-100:]), kept)
    token = (await c.claim_one(driver)).token
    for large in (
        Extension(token, logs=[b"1" * 8_193]),
        Extension(token, b"1" * (c.info.max_payload + 1)),
    ):
        extend = driver.extend([large], lease=LEASE, now=c.at(4))
        await expect_refusal("a report that is too large", extend, InvalidInput)
