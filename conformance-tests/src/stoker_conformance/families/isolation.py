"""TXN: users' transactions that meet others, on connections that are set up in the user's way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar, cast

from stoker.driver import (
    After,
    At,
    Capability,
    ChangeStatus,
    Complete,
    Driver,
    Enqueued,
    EnqueueStatus,
    ExtendStatus,
    JobState,
    Lease,
    NewJob,
    OnConflict,
    Settlement,
    SettleStatus,
    Transactional,
    Unique,
    Want,
)
from stoker.errors import DriverUnavailable, StokerError
from stoker_conformance.bench import ERROR, LEASE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import Violation, expect, expect_that, expect_unchanged

T = TypeVar("T")

_NEEDS: Final = (Capability.TRANSACTIONAL,)
_GLIMPSE: Final = 0.2
"""Seconds for which a settlement waits for a transaction; if it comes late, nothing is lost."""
_INSERTED: Final = EnqueueStatus.INSERTED
_DUPLICATE: Final = EnqueueStatus.DUPLICATE_ID


class _TransactionDriver(Driver, Transactional[Any], Protocol):
    """A driver with this capability, for whatever connections it takes."""


class _UserFailed(Exception):
    """The user's own code failed inside the block."""


@case(
    "TXN-04",
    clauses=("transaction.isolation", "transaction.failures"),
    needs=_NEEDS,
    fix="enqueue_in sets no isolation level and repeats nothing. When the client library raises "
    "(a serialisation failure, a lock, a snapshot that is too old), let its error pass as it is: "
    "only the user can begin the transaction again.",
)
async def failures_belong_to_the_caller(c: Bench) -> None:
    """At the caller's isolation level enqueue_in is right, or fails with the client's own error."""
    driver, other = await _driver(c), await c.driver()
    old, new = c.job(), c.job()
    batch = [c.job(old.key.id), new]
    async with c.snapshot_connection() as connection:
        await connection.begin()
        try:
            await c.put(other, old)
        except DriverUnavailable:
            # The transaction excludes other writers, so that nothing can come in between.
            c.remark("TXN-04: a transaction of the harness's connection excludes other writers")
            await connection.rollback()
            await c.put(other, old)
            await connection.begin()
        before = await c.record(other, old.key)
        try:
            answers = await driver.enqueue_in(connection.raw, batch, now=c.at(1))
        except StokerError as error:
            what = "what enqueue_in raises when the transaction cannot go on"
            raise Violation(what, "the client library's own error", repr(error)) from error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the client library's
            c.remark(f"TXN-04: the failure that passed through is {type(error).__name__}")
        else:
            _expect_statuses(answers, _DUPLICATE, _INSERTED)
        expect("the new job before any commit", await c.state(other, new.key), None)
        await connection.rollback()
        expect("the new job after the rollback", await c.state(other, new.key), None)
        await connection.begin()
        answers = await driver.enqueue_in(connection.raw, batch, now=c.at(2))
        _expect_statuses(answers, _DUPLICATE, _INSERTED)
        await connection.commit()
    expect("the new job after a commit", await c.state(other, new.key), JobState.READY)
    expect_unchanged("the old job", await c.record(other, old.key), before)


@case(
    "TXN-09",
    clauses=("transaction.busy",),
    needs=_NEEDS,
    fix="Extend and the administrative operations do not wait for a record that another "
    "transaction holds, and do not take it for gone: they answer BUSY and change nothing.",
)
async def a_held_record_is_busy(c: Bench) -> None:
    """While a transaction holds a job's record, extend is BUSY or applied, and changes are BUSY."""
    driver, other = await _driver(c), await c.driver()
    job = c.job()
    await c.put(other, job)
    token = (await c.claim_one(other)).token
    settlement = Settlement(token, Complete())
    busy: dict[str, ChangeStatus] = {}
    with suppress(_UserFailed):
        async with driver.transaction(lease=LEASE) as connection:
            await driver.settle_in(connection, settlement, now=c.at(1))
            # At the same time: a driver may look for a while before it says BUSY.
            extended, [cancelled], [removed], [retried] = await asyncio.gather(
                c.extend(other, token, now=c.at(2)),
                other.cancel([job.key], reason="not wanted", now=c.at(2)),
                other.remove([job.key]),
                other.retry([job.key], now=c.at(2)),
            )
            answers = (ExtendStatus.BUSY, ExtendStatus.EXTENDED)
            expect_that("an extend is BUSY or applied", extended.status in answers, extended)
            busy |= {"cancel": cancelled.status, "remove": removed.status, "retry": retried.status}
            await _expect_open(c, driver, connection)
            raise _UserFailed
    expect("the answers to changes", busy, dict.fromkeys(busy, ChangeStatus.BUSY))
    record = await c.record(other, job.key)
    seen = (record.state, record.cancel_reason)
    expect("state and reason after the rollback", seen, (JobState.RUNNING, None))

    async with driver.transaction(lease=LEASE) as connection:
        answer = await driver.settle_in(connection, settlement, now=c.at(3))
        expect("a settlement after the heartbeat", answer.status, SettleStatus.APPLIED)
        waiting = asyncio.ensure_future(c.settle(other, token, Complete(), now=c.at(3)))
        await asyncio.wait([waiting], timeout=_GLIMPSE)
    expect("a settlement that waited", (await waiting).status, SettleStatus.ALREADY)
    expect("the state after the commit", await c.state(other, job.key), JobState.COMPLETED)
    late = await c.extend(other, token, now=c.at(4))
    expect("an extend after the commit", late.status, ExtendStatus.STALE)
    await _expect_others_taken(c, driver, other)


async def _expect_others_taken(c: Bench, driver: _TransactionDriver, other: Driver) -> None:
    """Hold jobs in a transaction: a claim, a promote and a reap take the others, and do not wait.

    A store where a transaction excludes other writers says so with DriverUnavailable.
    """
    queue = "parcels"
    await c.put(other, *c.jobs(2, queue=queue))
    held, free = await c.claim(other, 2, queue=queue)
    ready, due = c.job(queue=queue), c.job(queue=queue, run_at=At(c.at(1)))
    await c.put(other, ready, due)
    keys = ("ready", "due") if Capability.UNIQUE in c.info.capabilities else ()
    for key in keys:
        run_at = due.run_at if key == "due" else ready.run_at
        await c.put(other, c.job(queue=queue, unique=Unique(key), run_at=run_at))
    moves = [Unique(key, on_conflict=OnConflict.RESCHEDULE) for key in keys]
    later = [c.job(queue=queue, unique=move, run_at=At(c.at(3_600))) for move in moves]
    with suppress(_UserFailed):
        async with driver.transaction(lease=LEASE) as connection:
            await driver.enqueue_in(connection, later, now=c.at(1))
            await driver.settle_in(connection, Settlement(held.token, Complete()), now=c.at(1))
            with suppress(DriverUnavailable):
                await _take_others(c, other, queue, ready, free)
            await _expect_open(c, driver, connection)
            raise _UserFailed


async def _take_others(c: Bench, other: Driver, queue: str, ready: NewJob, free: Lease) -> None:
    claimed = await other.claim([Want(queue, 9)], worker="worker-2", lease=LEASE, now=c.at(2))
    expect("claimed", [lease.token.key for lease in claimed.leases], [ready.key])
    expect("promoted", (await other.promote([queue], limit=9, now=c.at(2))).count, 1)
    reaped = await other.reap([queue], limit=9, delay=LEASE, error=ERROR, now=c.at(60))
    expect("reaped", [one.lease.token for one in reaped], [free.token])


async def _expect_open(c: Bench, driver: _TransactionDriver, connection: Any) -> None:
    """Expect that what others did has not waited until the store ended the transaction."""
    statement = driver.enqueue_in(connection, [c.job(queue="effects")], now=c.at(2))
    await _answer("the next statement of the transaction, which nobody waits for", statement)


@case(
    "TXN-10",
    clauses=("transaction.settings",),
    needs=_NEEDS,
    fix="Use a cursor and codecs of the driver's own on the connection, and leave the user's as "
    "they were: a row may be a dict there, and a text bytes.",
)
async def the_users_settings_do_not_matter(c: Bench) -> None:
    """On a connection with codecs and row factories of the user's own everything is as usual."""
    driver, other = await _driver(c), await c.driver()
    fields: dict[str, Any] = {
        "payload": '{"to": "Łukasz 🦊"}'.encode(),
        "run_at": After(timedelta(seconds=90)),
        "timeout": timedelta(seconds=1.5),
        "tags": ("red", "grün"),
        "metadata": {"to": "Łukasz"},
        "headers": {"trace": "1"},
    }
    running, new, large = c.job(), c.job(**fields), c.job(payload=b'"' + b"x" * 100_000 + b'"')
    await c.put(other, running)
    token = (await c.claim_one(other)).token
    async with c.unusual_connection() as connection:
        await connection.begin()
        batch = [new, c.job(running.key.id), large, c.job(new.key.id)]
        enqueue = driver.enqueue_in(connection.raw, batch, now=c.at(1))
        answers = await _answer("enqueue_in on such a connection", enqueue)
        _expect_statuses(answers, _INSERTED, _DUPLICATE, _INSERTED, _DUPLICATE)
        settle = driver.settle_in(connection.raw, Settlement(token, Complete()), now=c.at(1))
        settled = await _answer("settle_in on such a connection", settle)
        expect("the answer to settle_in", settled.status, SettleStatus.APPLIED)
        await connection.commit()
    await c.put(other, usual := c.job(**fields), now=c.at(1))
    seen, wanted = await c.record(other, new.key), await c.record(other, usual.key)
    for name in ("state", "enqueued_at", "run_at", *(set(fields) - {"run_at"})):
        expect(f"{name}, against an ordinary enqueue", getattr(seen, name), getattr(wanted, name))
    expect("a large payload", (await c.record(other, large.key)).payload, large.payload)
    expect("the job settled", await c.state(other, running.key), JobState.COMPLETED)


@case(
    "TXN-12",
    clauses=("enqueue.held",),
    needs=_NEEDS,
    fix="Bound the wait for a lock to two seconds, then raise DriverUnavailable with "
    "maybe_applied=False: the statement was given up, and nothing of it is stored.",
)
async def an_enqueue_does_not_wait_for_ever(c: Bench) -> None:
    """An id that an open transaction has taken makes an enqueue of it fail after a bounded wait."""
    driver, other = await _driver(c), await c.driver()
    job = c.job()
    async with c.connection() as connection:
        await connection.begin()
        await driver.enqueue_in(connection.raw, [job], now=c.now)
        try:
            answers = await other.enqueue([c.job(job.key.id)], now=c.now)
        except DriverUnavailable as error:
            expect("maybe_applied of the error", error.maybe_applied, False)
        else:
            what = "an enqueue of an id that an open transaction has taken"
            raise Violation(what, "DriverUnavailable", repr(answers))
        await connection.rollback()
    expect("the job after the rollback", await c.state(other, job.key), None)
    await c.put(other, job)


async def _driver(c: Bench) -> _TransactionDriver:
    return cast(_TransactionDriver, await c.driver())


def _expect_statuses(answers: list[Enqueued], *expected: EnqueueStatus) -> None:
    expect("the answers", [answer.status for answer in answers], list(expected))


async def _answer(what: str, operation: Awaitable[T]) -> T:
    """Fail if the operation raises anything at all."""
    try:
        return await operation
    except Exception as error:
        raise Violation(what, "an answer", f"{type(error).__name__}: {error}") from error
