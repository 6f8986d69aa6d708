"""E2E: the core on the driver: applications that schedule, workers that run.

It is the only family that imports the core above the seam. Workers run in real time; nothing here
waits for a time to pass, but for what they do. Only the ticks of E2E-07 come from a clock that the
case turns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from stoker import (
    Clock,
    Fixed,
    JobHandle,
    JobRecord,
    JobRun,
    JobState,
    Router,
    Stoker,
    WorkerOptions,
)
from stoker.driver import Capability, Driver, Scope
from stoker_conformance.bench import Bench
from stoker_conformance.case import case
from stoker_conformance.expect import expect, expect_that
from stoker_conformance.waiting import PATIENCE, eventually

_CONTEXT: Final = object()
_DELAY: Final = 0.06
_SLACK: Final = 0.9
"""The part of a delay that has to pass by this process's clock: two clocks differ a little."""
_LEASE: Final = 1.0
"""Of workers that are killed, in seconds: for so long nobody knows."""


class _Hands:
    """A clock that a case turns."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        """Return what it shows."""
        return self.time

    def given(self) -> datetime:
        """Return what it shows, for the driver to go by."""
        return self.time


@case(
    "E2E-01",
    clauses=("core.completes",),
    fix="Run this case alone and read the worker's log: enqueue, claim and settle pass their own "
    "cases, so look at operations that are called at once, and without a `now`.",
)
async def a_job_is_scheduled_runs_and_completes(c: Bench) -> None:
    """A job that one client schedules runs once on a worker of another, and is completed."""
    router = Router[object]("letters")
    seen: list[dict[str, str]] = []

    @router.job
    async def deliver(letter: dict[str, str]) -> list[str]:
        seen.append(letter)
        return sorted(letter.values())

    letter = {"to": "Ada", "from": "Łukasz 🦊"}
    async with _app(c, router) as producer, _app(c, router) as consumer, _working(consumer):
        handle = await producer.schedule(deliver, letter)
        record = await _ended(handle)
        expect("state and attempt", (record.state, record.attempt), (JobState.COMPLETED, 1))
        expect("what its runs were given", seen, [letter])
        if Capability.RESULTS in c.info.capabilities:
            expect("its result", await handle.result(0), ["Ada", "Łukasz 🦊"])


@case(
    "E2E-02",
    clauses=("core.retries",),
    fix="The core settles a failed attempt with Retry, and promotes when the wait is over: see "
    "RTY-01 and RT-01.",
)
async def a_failed_attempt_is_repeated(c: Bench) -> None:
    """A handler that raises is run again after its wait, and may succeed; its error is kept."""
    router = Router[object]("letters")
    attempts: list[int] = []

    @router.job(attempts=3, backoff=Fixed(0.02))
    async def deliver(_: None, __: object, job: JobRun) -> None:
        attempts.append(job.attempt)
        if job.attempt == 1:
            raise RuntimeError("no ink")

    async with _app(c, router) as app, _working(app):
        record = await _ended(await app.schedule(deliver))
    expect("state and attempt", (record.state, record.attempt), (JobState.COMPLETED, 2))
    expect("the attempts that ran", attempts, [1, 2])
    kept = [b"no ink" in error for error in record.errors]
    expect("errors that are kept, and tell the reason", kept, [True])


@case(
    "E2E-03",
    clauses=("core.releases",),
    fix="A worker that stops settles what has not ended with Release: see RTY-03. It needs the "
    "driver until its last settlement is answered.",
)
async def a_graceful_stop_gives_jobs_back(c: Bench) -> None:
    """A worker that is stopped gives back what has not ended, and another one runs it."""
    router = Router[object]("letters")
    started = asyncio.Event()
    attempts: list[int] = []

    @router.job
    async def deliver(_: None, __: object, job: JobRun) -> None:
        attempts.append(job.attempt)
        started.set()
        if len(attempts) == 1:
            await asyncio.Event().wait()

    async with _app(c, router) as first, _app(c, router) as second:
        handle = await first.schedule(deliver)
        async with _working(first, grace=0.01):
            await _happened("a run of the job", started)
        record = await _record(handle)
        seen = (record.state, record.attempt, record.crashes)
        expect("state, attempt and crashes after the stop", seen, (JobState.READY, 0, 0))
        async with _working(second):
            record = await _ended(handle)
    expect("the state after the next run", record.state, JobState.COMPLETED)
    expect("the attempts that ran", attempts, [1, 1])


@case(
    "E2E-04",
    clauses=("core.survives",),
    scope=Scope.HOST,
    fix="Nobody told the store that the worker is gone: its lease has to expire, and be reaped "
    "once, by any other worker. See LSE-01, RPR-02 and RT-02.",
)
async def a_killed_worker_loses_no_job(c: Bench) -> None:
    """The job of a worker process that was killed runs again, on another worker."""
    router = Router[object]("letters")
    crashes: list[int] = []

    @router.job(attempts=1)
    async def deliver(_: None, __: object, job: JobRun) -> None:
        crashes.append(job.crashes)

    async with _app(c, router) as app:
        handle = await app.schedule(deliver, job_id="letter-1")
        worker = await c.actor()
        async for job_id in worker.stream(_run_for_ever):
            expect("the job that runs", job_id, handle.id)
            await worker.kill()
        expect("its state after the kill", await handle.status(), JobState.RUNNING)
        async with _working(app, lease=_LEASE):
            record = await _ended(handle)
    expect("state and crashes", (record.state, record.crashes), (JobState.COMPLETED, 1))
    expect("the crashes that its run knew of", crashes, [1])


@case(
    "E2E-05",
    clauses=("core.cancels",),
    fix="The worker learns of a cancel by extend, and sooner by the hint CANCEL. See CAN-02 and "
    "WAK-06.",
)
async def a_cancel_reaches_the_handler(c: Bench) -> None:
    """The cancel of a running job ends its handler, and the job is cancelled with the reason."""
    router = Router[object]("letters")
    started, interrupted = asyncio.Event(), asyncio.Event()

    @router.job
    async def deliver() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            interrupted.set()

    async with _app(c, router) as producer, _app(c, router) as consumer, _working(consumer):
        handle = await producer.schedule(deliver)
        await _happened("a run of the job", started)
        await handle.cancel("not wanted")
        record = await _ended(handle)
        await _happened("an end of the handler", interrupted)
    seen = (record.state, record.cancel_reason)
    expect("state and reason", seen, (JobState.CANCELLED, "not wanted"))


@case(
    "E2E-06",
    clauses=("core.delays",),
    fix="The worker sleeps until `next_due_in`, then promotes and claims: see DLY-06 and RT-01.",
)
async def a_delayed_job_runs_when_it_is_due(c: Bench) -> None:
    """A delayed job runs once, by itself, after its delay and not before."""
    router = Router[object]("letters")
    times: list[float] = []

    @router.job
    async def deliver() -> None:
        times.append(time.monotonic())

    async with _app(c, router) as app:
        began = time.monotonic()
        handle = await app.schedule(deliver, delay=_DELAY)
        expect("its state before a worker is there", await handle.status(), JobState.SCHEDULED)
        async with _working(app):
            record = await _ended(handle)
    expect("the state", record.state, JobState.COMPLETED)
    expect("its runs", len(times), 1)
    waited = times[0] - began
    expect_that(f"{_DELAY} s passed until the run", waited >= _SLACK * _DELAY, waited)


@case(
    "E2E-07",
    clauses=("core.recurs",),
    needs=(Capability.SCHEDULE,),
    fix="Every worker lists the schedules, fires what is due and goes on from what it is answered: "
    "see SCH-01 to SCH-06.",
)
async def each_tick_of_a_cron_job_runs_once(c: Bench) -> None:
    """With two workers at it, each tick of a cron job runs once, at its time and not before."""
    router = Router[object]("letters")
    ticks: list[datetime] = []

    @router.cron("*/5 * * * *")
    async def collect(_: None, __: object, job: JobRun) -> None:
        expect_that("a run of a cron job knows its tick", job.tick is not None, job)
        if job.tick is not None:
            ticks.append(job.tick.at)

    clock = _Hands(c.at(60))
    async with _app(c, router, clock) as first, _app(c, router, clock) as second:

        async def run_both() -> None:
            await asyncio.gather(first.run_until_idle(), second.run_until_idle())

        await run_both()
        expect("ticks before the first one", ticks, [])
        for number in range(1, c.pick(fast=3, full=10)):
            due = c.now + number * timedelta(minutes=5)
            clock.time = due - c.tick
            await run_both()
            expect(f"ticks just before tick {number}", len(ticks), number - 1)
            clock.time = due
            await run_both()
            expect(f"the newest tick, and how many, at tick {number}", ticks[-1:], [due])
            expect(f"ticks until tick {number}", len(ticks), number)


async def _run_for_ever(driver: Driver) -> AsyncGenerator[str, None]:
    """Run a worker in a process of its own; tell which jobs it is inside of. They do not end."""
    router = Router[object]("letters")
    inside: asyncio.Queue[str] = asyncio.Queue()

    @router.job(attempts=1)
    async def deliver(_: None, __: object, job: JobRun) -> None:
        inside.put_nowait(job.id)
        await asyncio.Event().wait()

    options = _options(lease=_LEASE)
    async with Stoker(driver, jobs=[router], context=_CONTEXT, autostart_worker=options):
        while True:
            yield await inside.get()


@asynccontextmanager
async def _app(
    c: Bench, router: Router[object], clock: Clock | None = None
) -> AsyncIterator[Stoker[object]]:
    """Open an application on a client of its own."""
    async with Stoker(await c.client(), jobs=[router], context=_CONTEXT, clock=clock) as app:
        yield app


@asynccontextmanager
async def _working(app: Stoker[object], **options: Any) -> AsyncIterator[None]:
    """Run a worker for the length of a block, and stop it gracefully."""
    stop = asyncio.Event()
    worker = asyncio.create_task(app.run_worker(_options(**options), stop=stop))
    try:
        yield
    finally:
        stop.set()
        await worker


def _options(**options: Any) -> WorkerOptions:
    """Return options of a worker that looks and tells often, for drivers that cannot wake it."""
    return WorkerOptions(**{"poll": 0.02, "heartbeat": 0.05, **options})


async def _ended(handle: JobHandle[Any]) -> JobRecord:
    """Wait until a job has ended, however it did."""

    async def record() -> JobRecord | None:
        found = await _record(handle)
        return found if found.is_terminal else None

    return await eventually("an end of the job", record)


async def _record(handle: JobHandle[Any]) -> JobRecord:
    record = await handle.record()
    if record is None:
        expect("the record of the job", record, "a record")
        raise AssertionError
    return record


async def _happened(what: str, event: asyncio.Event) -> None:
    """Wait for an event of this process, not for ever."""
    try:
        async with asyncio.timeout(PATIENCE):
            await event.wait()
    except TimeoutError:
        expect(what, "none", f"one within {PATIENCE:g} s")
