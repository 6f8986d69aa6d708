"""WAK: idle workers sleep until there may be something to do.

They wait in real time, and measure none of it. A lost hint is legal, and so is one too many; so
whatever should give one is tried a few times, and what is asked is only that a hint comes at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, Protocol, TypeAlias, cast

from stoker.driver import (
    After,
    Capability,
    Driver,
    Fail,
    Outcome,
    Release,
    Retry,
    Scope,
    Snooze,
    Transactional,
    Wake,
    Wakeup,
)
from stoker.errors import InvalidInput
from stoker_conformance.bench import ERROR, QUEUE, Bench
from stoker_conformance.case import case
from stoker_conformance.expect import Violation, expect, expect_that
from stoker_conformance.faults.insisting import insist

_NEEDS: Final = (Capability.WAKEUP,)
_TRIES: Final = 4
_PATIENCE: Final = timedelta(seconds=1)
_MOMENT: Final = timedelta(milliseconds=5)
_NOW: Final = After(timedelta(0))
_SOON: Final = After(timedelta(seconds=5))
_LATER: Final = After(timedelta(seconds=50))

Deed: TypeAlias = Callable[[], Awaitable[object]]
Preparation: TypeAlias = Callable[[], Awaitable[Deed]]
"""Brings a queue to where a deed gives a hint, and returns the deed."""


class _WakeupDriver(Driver, Wakeup, Protocol):
    """A driver with this capability."""


@case(
    "WAK-01",
    clauses=("wakeup.hints", "wakeup.every_client"),
    needs=_NEEDS,
    fix="A hint follows the commit of everything that could matter, and reaches every client "
    "that waits for the queue.",
)
async def whatever_matters_ends_a_wait(c: Bench) -> None:
    """A wait under way ends, on every client, when there may be work or an earlier due time."""
    worker, *waiters = [await _driver(c) for _ in range(3)]
    for waiter in waiters:
        await waiter.wait([QUEUE], _PATIENCE)
    for what, preparation in _reasons_to_wake(c, worker).items():
        await _expect_hints(what, Wake.WORK, preparation, waiters)


@case(
    "WAK-02",
    clauses=("wakeup.timeout",),
    needs=_NEEDS,
    fix="A wait ends by itself after its timeout. Hints only save time: nothing is claimable "
    "only because of one.",
)
async def a_wait_without_a_hint_ends(c: Bench) -> None:
    """A wait for which no hint comes ends by itself, and work is found without any wait."""
    waiter, producer = await _driver(c), await c.driver()
    for timeout in (timedelta(0), _MOMENT, timedelta(milliseconds=50)):
        wake = await waiter.wait([QUEUE, "parcels"], timeout)
        expect_that("the answer is a Wake", isinstance(wake, Wake), wake)
    job = c.job()
    await c.put(producer, job)
    expect("claimed without a wait", await c.claim_ids(waiter), [job.key.id])


@case(
    "WAK-03",
    clauses=("wakeup.reconnects",),
    needs=_NEEDS,
    scope=Scope.NETWORK,
    fix="A client whose connection was lost subscribes again, to every queue that it has waited "
    "for. Until then a wait may fail, or end by its timeout, but it must not stay deaf.",
)
async def hints_come_again_after_a_reconnect(c: Bench) -> None:
    """Hints reach a client again after its connections were cut, in a wait and between two."""
    async with c.link() as link:
        waiter, producer = _Insisting(await link.driver()), await c.driver()

        async def prepare() -> Deed:
            return lambda: c.put(producer, c.job())

        await waiter.wait([QUEUE], _PATIENCE)
        for during_a_wait in (True, False):
            if during_a_wait:
                await _drain(waiter, [QUEUE])
                waiting = asyncio.ensure_future(waiter.wait([QUEUE], _PATIENCE))
                await asyncio.sleep(_MOMENT.total_seconds())
                await link.proxy.cut()
                await waiting
            else:
                await link.proxy.cut()
            await _expect_hints("an enqueue after a reconnect", Wake.WORK, prepare, [waiter])


@case(
    "WAK-04",
    clauses=("wakeup.after_commit",),
    needs=(Capability.WAKEUP, Capability.TRANSACTIONAL),
    fix="The hint of an enqueue in a user's transaction is given at its commit. One that comes "
    "before finds nothing to claim, and the job waits for the next poll.",
)
async def the_hint_follows_the_commit(c: Bench) -> None:
    """The hint of an enqueue inside a transaction comes at the commit, when the job is visible."""
    waiter = await _driver(c)
    producer = cast(Transactional[Any], await c.driver())
    await waiter.wait([QUEUE], _PATIENCE)
    async with c.connection() as connection:

        async def prepare() -> Deed:
            await connection.begin()
            await producer.enqueue_in(connection.raw, [c.job()], now=c.now)
            return connection.commit  # a hint that came too early is drained before this

        await _expect_hints("the commit", Wake.WORK, prepare, [waiter])


@case(
    "WAK-05",
    clauses=("wakeup.first", "wakeup.latched"),
    needs=_NEEDS,
    fix="The first wait for a queue subscribes and returns WORK. From then on a hint is kept "
    "until a wait takes it, whether or not one is under way.",
)
async def no_hint_falls_between_two_waits(c: Bench) -> None:
    """The first wait for a queue returns WORK, and a hint between two waits ends the next."""
    waiter, producer = await _driver(c), await c.driver()
    both = [QUEUE, "parcels"]
    for queues in ([QUEUE], both):
        wake = await waiter.wait(queues, _PATIENCE)
        expect_that(f"the first wait for {queues[-1]} is WORK", Wake.WORK in wake, wake)
    for queue in both:

        async def prepare(queue: str = queue) -> Deed:
            return lambda: c.put(producer, c.job(queue=queue))

        what = f"an enqueue into {queue}"
        await _expect_hints(what, Wake.WORK, prepare, [waiter], queues=both, between_waits=True)


@case(
    "WAK-06",
    clauses=("wakeup.cancel",),
    needs=_NEEDS,
    fix="The cancel of a running job gives the hint CANCEL to every client that waits for its "
    "queue.",
)
async def the_cancel_of_a_running_job_is_a_hint(c: Bench) -> None:
    """The cancel of a running job ends the wait of every client with CANCEL."""
    worker, *waiters = [await _driver(c) for _ in range(3)]

    async def prepare() -> Deed:
        job = c.job()
        await c.put(worker, job)
        await c.claim(worker)
        return lambda: worker.cancel([job.key], reason="not wanted", now=c.now)

    for waiter in waiters:
        await waiter.wait([QUEUE], _PATIENCE)
    for between_waits in (False, True):
        await _expect_hints("a cancel", Wake.CANCEL, prepare, waiters, between_waits=between_waits)


@case(
    "WAK-07",
    clauses=("wakeup.close",),
    needs=_NEEDS,
    fix="`close` ends the wait that is under way; a worker that stops must not sleep on.",
)
async def close_ends_a_wait(c: Bench) -> None:
    """A wait under way returns when its client is closed, long before its timeout."""
    waiter = await _driver(c)
    await waiter.wait([QUEUE], _PATIENCE)
    await _drain(waiter, [QUEUE])
    waiting = asyncio.create_task(waiter.wait([QUEUE], timedelta(minutes=10)))
    await asyncio.sleep(_MOMENT.total_seconds())
    await waiter.close()
    wake = await waiting  # the bound of the case is the limit
    expect_that("the answer is a Wake", isinstance(wake, Wake), wake)


@case(
    "WAK-08",
    clauses=("wakeup.one_waiter",),
    needs=_NEEDS,
    fix="Refuse a wait while another one of the same client is under way: one of the two would "
    "take the other's hints.",
)
async def a_client_has_one_waiter(c: Bench) -> None:
    """A second wait of a client is refused while its first one is under way."""
    waiter = await _driver(c)
    for _ in range(50):  # either wait may end by itself, for no reason at all
        first = asyncio.create_task(waiter.wait([QUEUE], timedelta(minutes=10)))
        await asyncio.sleep(_MOMENT.total_seconds())
        try:
            await waiter.wait([QUEUE], timedelta(milliseconds=1))
        except InvalidInput:
            return
        finally:
            first.cancel()
            await asyncio.wait([first])
        if not first.cancelled():
            first.result()  # an error of its own is a failure
    raise Violation("the second wait of a client", "InvalidInput", "an answer, 50 times")


class _Insisting:
    """Waits again after a failure, as a worker does."""

    def __init__(self, driver: Driver) -> None:
        self._driver = cast(Wakeup, driver)

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        return await insist(partial(self._driver.wait, queues, timeout))


async def _driver(c: Bench) -> _WakeupDriver:
    return cast(_WakeupDriver, await c.driver())


def _reasons_to_wake(c: Bench, worker: Driver) -> dict[str, Preparation]:
    """Return everything that makes work, or moves the earliest due time forward."""

    def enqueue(**fields: Any) -> Preparation:
        async def prepare() -> Deed:
            return lambda: c.put(worker, c.job(**fields))

        return prepare

    def settle(outcome: Outcome) -> Preparation:
        async def prepare() -> Deed:
            await c.claim(worker)
            await c.put(worker, c.job(max_attempts=9))
            token = (await c.claim_one(worker)).token
            return lambda: c.finish(worker, token, outcome)

        return prepare

    async def promote() -> Deed:
        await c.put(worker, c.job(run_at=_SOON))
        return lambda: c.promote(worker, now=c.at(5))

    async def reap() -> Deed:
        await c.put(worker, c.job())
        await c.claim(worker)
        return lambda: c.reap(worker, now=c.at(60))

    async def reschedule() -> Deed:
        job = c.job(run_at=_LATER)
        await c.put(worker, job)
        return lambda: worker.reschedule([job.key], _NOW, now=c.now)

    async def resume() -> Deed:
        await worker.pause(QUEUE, True)
        await c.put(worker, c.job())
        return lambda: worker.pause(QUEUE, False)

    async def retry() -> Deed:
        await c.claim(worker)
        job = c.job()
        await c.put(worker, job)
        await c.finish(worker, (await c.claim_one(worker)).token, Fail(ERROR))
        return lambda: worker.retry([job.key], now=c.now)

    return {
        "a delayed enqueue": enqueue(run_at=_LATER),
        "a delayed retry": settle(Retry(_SOON, ERROR)),
        "a snooze": settle(Snooze(After(timedelta(seconds=4)))),
        "a delayed release": settle(Release(After(timedelta(seconds=3)))),
        "an enqueue": enqueue(),
        "a retry": settle(Retry(_NOW, ERROR)),
        "a release": settle(Release(_NOW)),
        "a promote": promote,
        "a reap": reap,
        "a reschedule": reschedule,
        "a resume": resume,
        "a manual retry": retry,
    }


async def _expect_hints(
    what: str,
    expected: Wake,
    prepare: Preparation,
    waiters: Sequence[Wakeup],
    *,
    queues: Sequence[str] = (QUEUE,),
    between_waits: bool = False,
) -> None:
    """Expect that a deed ends a wait of each waiter, under way or the next one."""
    missing = list(waiters)
    for _ in range(_TRIES):
        deed = await prepare()
        for waiter in waiters:
            await _drain(waiter, queues)
        if between_waits:
            await deed()
            woken = [await _wakes(waiter, queues, expected) for waiter in missing]
        else:
            waits = [asyncio.create_task(_wakes(waiter, queues, expected)) for waiter in missing]
            await asyncio.sleep(0)
            await deed()
            woken = await asyncio.gather(*waits)
        missing = [waiter for waiter, awake in zip(missing, woken, strict=True) if not awake]
        if not missing:
            return
    raise Violation(
        f"hints that follow {what}",
        f"{expected.name} on each of {len(waiters)} clients, at least once in {_TRIES} tries",
        f"none on {len(missing)} of them",
    )


async def _wakes(waiter: Wakeup, queues: Sequence[str], expected: Wake) -> bool:
    while wake := await waiter.wait(queues, _PATIENCE):
        if expected in wake:
            return True
    return False


async def _drain(waiter: Wakeup, queues: Sequence[str]) -> None:
    """Take the hints that are latched; a driver that never stops hinting is left alone."""
    for _ in range(10):
        if not await waiter.wait(queues, _MOMENT):
            return
