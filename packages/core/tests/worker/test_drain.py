"""Running all that is due, here and now."""

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest
from packages.core.tests.support import SpyDriver

from stoker import Delays, JobRun, JobState, Router, Snooze, Stoker
from stoker.driver import ScheduleBook, Schedules, Want
from stoker.testing import ManualClock


async def test_it_runs_what_is_due_and_what_that_schedules_and_returns_the_number(
    clock: ManualClock,
) -> None:
    router = Router[object]("r")
    ran: list[int] = []

    @router.job
    async def count(payload: int, context: object, job: JobRun) -> None:
        ran.append(payload)
        if payload:
            await job.app.schedule(count, payload - 1)

    async with Stoker("memory://", jobs=[router], clock=clock, context=None) as app:
        await app.schedule(count, 4)
        await app.schedule(count, 99, delay=1)
        assert await app.run_until_idle() == 5
        assert ran == [4, 3, 2, 1, 0]
        assert await app.run_until_idle() == 0


async def test_time_stands_still_while_it_runs(clock: ManualClock) -> None:
    router = Router[object]("r")
    seen: list[object] = []

    @router.job(attempts=3, backoff=Delays(60, 3600))
    async def failing(payload: None, context: object, job: JobRun) -> None:
        seen.append((job.attempt, job.started_at))
        raise ValueError

    async with Stoker("memory://", jobs=[router], clock=clock, context=None) as app:
        start = clock.now()
        handle = await app.schedule(failing)
        assert await app.run_until_idle() == 1
        assert await app.run_until_idle() == 0
        await clock.advance(59)
        assert await app.run_until_idle() == 0
        await clock.advance(1)
        assert await app.run_until_idle() == 1
        await clock.advance(timedelta(hours=1))
        assert await app.run_until_idle() == 1
        assert await handle.status() is JobState.FAILED
        assert seen == [
            (1, start),
            (2, start + timedelta(minutes=1)),
            (3, start + timedelta(minutes=61)),
        ]


async def test_it_brings_back_jobs_of_workers_that_disappeared(
    driver: SpyDriver, clock: ManualClock
) -> None:
    router = Router[object]("r")
    crashes: list[int] = []

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        crashes.append(run.crashes)

    async with Stoker(driver, jobs=[router], clock=clock, context=None) as app:
        await app.schedule(job)
        await driver.claim(
            [Want("default", 1)], worker="dead", lease=timedelta(minutes=1), now=clock.now()
        )
        assert await app.run_until_idle() == 0
        await clock.advance(60)
        assert await app.run_until_idle() == 1
    assert crashes == [1]


async def test_hooks_and_settlements_are_over_when_it_returns() -> None:
    router = Router[object]("r")
    heard: list[str] = []

    @router.job
    async def job() -> None: ...

    @router.on_complete
    async def slow_hook(run: JobRun) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        heard.append("complete")

    async with Stoker("memory://", jobs=[router]) as app:
        await app.schedule(job)
        await app.run_until_idle()
        assert heard == ["complete"]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_no_more_jobs_run_at_a_time_than_asked(concurrency: int) -> None:
    router = Router[object]("r")
    running, most = 0, 0

    @router.job
    async def job(payload: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    async with Stoker("memory://", jobs=[router]) as app:
        await app.schedule_many(job.call(n) for n in range(20))
        assert await app.run_until_idle(concurrency=concurrency) == 20
    assert most == concurrency


async def test_a_snoozed_job_runs_again_when_its_time_has_come(clock: ManualClock) -> None:
    router = Router[object]("r")
    attempts: list[tuple[int, int]] = []

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> str:
        attempts.append((run.attempt, run.snoozes))
        if run.snoozes < 2:
            raise Snooze(60)
        return "done"

    async with Stoker("memory://", jobs=[router], clock=clock, context=None) as app:
        handle = await app.schedule(job)
        for _ in range(3):
            await app.run_until_idle()
            await clock.advance(60)
        assert await handle.result(1) == "done"
    assert attempts == [(1, 0), (1, 1), (1, 2)]


async def test_recurring_jobs_fire_once_a_tick_and_know_their_tick(clock: ManualClock) -> None:
    router = Router[object]("r")
    ticks: list[object] = []

    @router.every(60)
    async def beat(payload: None, context: object, job: JobRun) -> None:
        assert job.tick is not None
        ticks.append((job.tick.count, job.tick.at, job.tick.previous, job.tick.next))

    async with Stoker("memory://", jobs=[router], clock=clock, context=None) as app:
        start = clock.now()

        def minute(n: int) -> object:
            return start + timedelta(minutes=n)

        assert await app.run_until_idle() == 0
        await clock.advance(60)
        assert await app.run_until_idle() == 1
        assert await app.run_until_idle() == 0
        await clock.advance(60)
        assert await app.run_until_idle() == 1
        # Three ticks are missed: one of them runs, the last two are not made up.
        await clock.advance(180)
        assert await app.run_until_idle() == 1
        assert ticks == [
            (1, minute(1), None, minute(2)),
            (2, minute(2), minute(1), minute(3)),
            (3, minute(3), minute(2), minute(6)),
        ]
        (schedule,) = (await _book(app)).schedules
        assert schedule.name == "r.beat"
        assert schedule.count == 3


async def _book(app: Stoker[Any]) -> ScheduleBook:
    driver = cast("Schedules", app.driver)
    return await driver.list_schedules(["default"], now=app.clock.given())


async def test_an_interval_that_changed_starts_anew_and_one_that_did_not_keeps_its_place(
    driver: SpyDriver, clock: ManualClock
) -> None:
    def app_with(seconds: float) -> Stoker:
        router = Router[object]("r")

        @router.every(seconds)
        async def beat() -> None: ...

        return Stoker(driver, jobs=[router], clock=clock)

    async with app_with(60) as app:
        await app.run_until_idle()
        await clock.advance(30)
    async with app_with(60) as app:
        await app.run_until_idle()
        (schedule,) = (await _book(app)).schedules
        assert schedule.due_in == timedelta(seconds=30)
    async with app_with(50) as app:
        await app.run_until_idle()
        (schedule,) = (await _book(app)).schedules
        assert schedule.due_in == timedelta(seconds=50)
