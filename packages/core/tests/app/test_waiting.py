"""Waiting for jobs to end."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from packages.core.tests.support import SpyDriver, away, soon, turns

from stoker import JobHandle, JobState, Router, Stoker
from stoker.app.waiting import Waiting
from stoker.driver import JobKey, NewJob
from stoker.errors import DriverClosed, NotOpen

ROUTER = Router[object]("r")


@ROUTER.job
async def job(payload: int) -> int:
    return payload * 2


@pytest.fixture
async def app(driver: SpyDriver) -> AsyncIterator[Stoker]:
    async with Stoker(driver, jobs=[ROUTER]) as app:
        yield app


async def test_all_who_wait_are_answered_by_one_look_at_the_store(
    app: Stoker, driver: SpyDriver
) -> None:
    handles = await app.schedule_many(job.call(n) for n in range(50))
    await app.run_until_idle()
    driver.calls.clear()
    results = await soon(asyncio.gather(*(handle.result() for handle in handles)))
    assert results == [n * 2 for n in range(50)]
    # The first asks alone, all the others are in the second look.
    assert len(driver.calls["states"]) <= 2
    assert sum(map(len, driver.calls["states"])) == 50


async def test_who_waits_for_the_same_job_twice_asks_once(app: Stoker, driver: SpyDriver) -> None:
    handle = await app.schedule(job, 1)
    waiting = asyncio.gather(handle.result(), handle.result())
    await turns()
    await app.run_until_idle()
    assert await soon(waiting) == [2, 2]
    assert all(len(keys) == 1 for keys in driver.calls["states"])


async def test_more_than_a_batch_of_waiters_are_all_answered(
    app: Stoker, driver: SpyDriver
) -> None:
    handles = await app.schedule_many(job.call(n) for n in range(1200))
    waiting = asyncio.gather(*(handle.result() for handle in handles))
    await turns()
    await app.run_until_idle()
    assert await soon(waiting) == [n * 2 for n in range(1200)]
    assert max(map(len, driver.calls["states"])) == 500


async def test_long_jobs_in_front_do_not_hide_those_behind_them(driver: SpyDriver) -> None:
    await driver.open()
    waiting = Waiting(driver)
    pending = [JobKey("q", f"pending{n}") for n in range(600)]
    await driver.enqueue([NewJob(key, "r.job") for key in pending])
    tasks = [asyncio.create_task(waiting.until_ended(key)) for key in pending]
    last = asyncio.create_task(waiting.until_ended(JobKey("q", "gone")))
    assert await soon(last) is None
    await waiting.close()
    await asyncio.wait(tasks)


async def test_a_job_that_ends_here_is_looked_at_without_waiting_for_the_next_look(
    driver: SpyDriver,
) -> None:
    await driver.open()
    waiting = Waiting(driver)
    key = JobKey("q", "1")
    await driver.enqueue([NewJob(key, "r.job")])
    task = asyncio.create_task(waiting.until_ended(key))
    await turns()
    looks = len(driver.calls["states"])
    await driver.cancel([key], reason="x")
    waiting.ended(JobKey("q", "somebody else"))
    await turns()
    assert len(driver.calls["states"]) == looks
    waiting.ended(key)
    await turns()
    assert len(driver.calls["states"]) == looks + 1
    assert await soon(task) is JobState.CANCELLED
    await waiting.close()


async def test_nobody_asks_when_nobody_waits_any_more(app: Stoker, driver: SpyDriver) -> None:
    handle = await app.schedule(job, 1)
    task = asyncio.create_task(handle.result())
    await turns()
    task.cancel()
    await asyncio.wait([task])
    assert app._waiting._waiters == {}


async def test_an_outage_is_waited_out(app: Stoker, driver: SpyDriver) -> None:
    handle = await app.schedule(job, 4)
    await app.run_until_idle()
    driver.failures["states"] = [away(), away()]
    assert await soon(handle.result()) == 8


async def test_another_error_reaches_every_caller_and_the_next_one_asks_anew(
    app: Stoker, driver: SpyDriver
) -> None:
    handles: list[JobHandle[int]] = await app.schedule_many([job.call(1), job.call(2)])
    await app.run_until_idle()
    driver.failures["states"] = [DriverClosed("closed")]
    answers = await soon(
        asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    )
    assert [type(answer) for answer in answers] == [DriverClosed, DriverClosed]
    assert await soon(handles[0].result()) == 2


async def test_closing_ends_every_wait_with_an_error(driver: SpyDriver) -> None:
    app = Stoker(driver, jobs=[ROUTER])
    await app.open()
    handle = await app.schedule(job, 1)
    task = asyncio.create_task(handle.result())
    await turns()
    await app.close()
    with pytest.raises(NotOpen, match="the app was closed while a result was waited for"):
        await soon(task)
