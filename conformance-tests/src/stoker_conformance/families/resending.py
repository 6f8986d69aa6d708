"""DUR: what is sent again takes effect once, wherever the first attempt got lost."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

from stoker.driver import (
    After,
    Complete,
    Enqueued,
    EnqueueStatus,
    Fail,
    JobState,
    NewJob,
    Outcome,
    Retry,
    Settled,
    SettleStatus,
    Token,
)
from stoker.errors import DriverUnavailable
from stoker_conformance.bench import ERROR, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that, expect_unchanged
from stoker_conformance.faults.faulty import FailPoint, Failures, FaultyDriver
from stoker_conformance.faults.insisting import insist
from stoker_conformance.requests import requests

_RETRY: Final = Retry(After(timedelta(minutes=5)), ERROR)


@case(
    "DUR-03",
    clauses=("failure.resend",),
    fix="The request was sent again after it had failed, and has changed more than the one that "
    "did not fail. Each operation looks at the state that it finds: of two equal requests the "
    "second finds nothing to do.",
)
async def each_operation_may_be_sent_again(c: Bench) -> None:
    """Each operation, failed before or after it was applied and sent again, has one effect."""
    c.remark("the failures are injected in front of the driver")
    failures = Failures()
    driver = await c.driver()
    faulty = FaultyDriver.around(driver, failures)
    for place, request in enumerate(requests(c)):
        key, send = await request.prepare(c, driver, f"control-{place}")
        expect(f"the answer to {request.what}", await send(driver), request.answer)
        [control] = await driver.get([key])
        for point in FailPoint:
            what = f"{request.what}, sent again after {point.name}"
            key, send = await request.prepare(c, driver, f"{point.name}-{place}")
            failures.fail(request.operation, point)
            with suppress(DriverUnavailable):
                await send(faulty)
            was_applied = point is FailPoint.REPLY_LOST
            expected = request.answer_again if was_applied else request.answer
            expect(f"the answer to {what}", await send(faulty), expected)
            expect(f"the failures of {what}", failures.happened[request.operation, point] > 0, True)
            [record] = await driver.get([key])
            if control is None:
                expect(f"the record after {what}", record, None)
            else:
                epoch = control.epoch if record is None else record.epoch
                expect_unchanged(what, record, replace(control, key=key, epoch=epoch))


@case(
    "DUR-04",
    clauses=("failure.resend", "enqueue.resend", "enqueue.once"),
    bound=60,
    fix="Storing a batch has to be one atomic step, and a job with the same id and nonce is the "
    "same request: it is answered INSERTED, and nothing is stored again.",
)
async def an_enqueue_that_was_cut_is_sent_again(c: Bench) -> None:
    """An enqueue that got lost at any point and is sent again stores each job exactly once."""
    async with c.link() as link:
        driver, witness = await link.driver(), await c.driver()
        wanted: list[str] = []

        async def batch() -> list[NewJob]:
            return c.jobs(2)

        def enqueue(jobs: list[NewJob]) -> Awaitable[list[Enqueued]]:
            return driver.enqueue(jobs, now=c.now)

        async for jobs, attempt in link.sweep("enqueue", batch, enqueue, most=c.exchanges):
            keys = [job.key for job in jobs]
            states = await c.states(witness, keys)
            expect_that("a batch is stored whole or not at all", len(set(states)) == 1, states)
            if attempt.answer is not None:
                expect("jobs whose enqueue was answered", states, [JobState.READY] * 2)
            answers = await insist(partial(enqueue, jobs))
            statuses = [answer.status for answer in answers]
            expect("the answers to the re-send", statuses, [EnqueueStatus.INSERTED] * 2)
            wanted += [key.id for key in keys]
        expect("the jobs there in the end", await c.claim_ids(witness, 1_000), wanted)


@case(
    "DUR-05",
    clauses=("failure.resend", "settle.replay", "token.ends_once"),
    bound=60,
    fix="A settlement sent again is answered APPLIED or ALREADY, with the state that it led to, "
    "and does nothing the second time. One that got lost is not answered as if it had arrived.",
)
async def a_settlement_that_was_cut_is_sent_again(c: Bench) -> None:
    """A settlement that got lost at any point and is sent again ends its lease exactly once."""
    async with c.link() as link:
        driver, witness = await link.driver(), await c.driver()
        for outcome, state in ((Complete(), JobState.COMPLETED), (_RETRY, JobState.SCHEDULED)):

            async def running() -> Token:
                await c.put(witness, c.job(max_attempts=5))
                return (await c.claim_one(witness)).token

            def settle(token: Token, outcome: Outcome = outcome) -> Awaitable[Settled]:
                return c.settle(driver, token, outcome)

            async for token, attempt in link.sweep("settle", running, settle, most=c.exchanges):
                if attempt.answer is not None:
                    expect("the state that was answered", attempt.answer.state, state)
                    expect("the state in the store", await c.state(witness, token.key), state)
                answer = await insist(partial(settle, token))
                again = answer.status in (SettleStatus.APPLIED, SettleStatus.ALREADY)
                expect_that("the re-send is APPLIED or ALREADY", again, answer)
                record = await c.record(witness, token.key)
                errors = (ERROR,) if isinstance(outcome, Retry) else ()
                ended = (answer.state, record.state, record.errors, record.attempt)
                expect("states, errors and attempt in the end", ended, (state, state, errors, 1))
                other = await c.settle(witness, token, Fail(ERROR))
                expect("another settlement of the token", other.status, SettleStatus.STALE)
