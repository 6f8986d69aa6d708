"""Opening, closing, and the worker inside of an app."""

import asyncio
import logging
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, soon, until

from stoker import Router, Stoker, WorkerOptions
from stoker.driver import Capability
from stoker.errors import (
    ConfigurationError,
    InvalidOption,
    MissingCapability,
    NotOpen,
    WorkerCrashed,
)
from stoker.testing import ManualClock

ROUTER = Router[object]("r")


@ROUTER.job
async def job(payload: int) -> int:
    return payload + 1


async def test_everything_that_needs_the_store_says_how_to_open_the_app() -> None:
    app = Stoker("memory://", jobs=[ROUTER])
    handle = app.handle(job, "1")
    calls = [
        lambda: app.schedule(job, 1),
        lambda: app.schedule_many([job.call(1)]),
        lambda: app.jobs.r.schedule("job", 1),
        app.run_until_idle,
        app.queues,
        lambda: app.get("1"),
        app.search,
        app.stats,
        lambda: app.pause("q"),
        lambda: app.resume("q"),
        lambda: app.cancel("1"),
        lambda: app.retry("1"),
        lambda: app.reschedule("1"),
        lambda: app.remove("1"),
        lambda: app.scheduled(job),
        handle.status,
        handle.result,
        handle.cancel,
    ]
    for round_ in ("before it was opened", "after it was closed"):
        for call in calls:
            with pytest.raises(NotOpen, match="use it inside of 'async with app:', or call 'await"):
                await call()
        async with app:
            pass
        assert round_


async def test_opening_and_closing_twice_is_once() -> None:
    driver = SpyDriver()
    app = Stoker(driver, jobs=[ROUTER])
    await app.open()
    await app.open()
    await app.close()
    await app.close()
    assert (driver.opened, driver.closed) == (1, 1)


async def test_a_closed_app_can_be_opened_again_and_finds_its_jobs() -> None:
    driver = SpyDriver()
    app = Stoker(driver, jobs=[ROUTER])
    async with app:
        handle = await app.schedule(job, 1)
    async with app:
        await app.run_until_idle()
        assert await handle.result(1) == 2


async def test_the_autostarted_worker_runs_jobs_while_the_app_is_open() -> None:
    async with Stoker("memory://", jobs=[ROUTER], autostart_worker=True) as app:
        handles = await app.schedule_many(job.call(n) for n in range(30))
        assert await soon(asyncio.gather(*(h.result() for h in handles))) == list(range(1, 31))


async def test_without_autostart_nothing_runs_by_itself(driver: SpyDriver) -> None:
    app = Stoker(driver, jobs=[ROUTER], autostart_worker=True)
    await app.open(autostart=False)
    await app.schedule(job, 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert "claim" not in driver.calls
    await app.close()


async def test_closing_lets_running_jobs_finish() -> None:
    router = Router[object]("r")
    started, go = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    @router.job
    async def slow() -> None:
        started.set()
        await go.wait()
        ended.append("ended")

    app = Stoker("memory://", jobs=[router], autostart_worker=WorkerOptions(grace=30))
    await app.open()
    await app.schedule(slow)
    await soon(started.wait())
    closing = asyncio.create_task(app.close())
    await asyncio.sleep(0)
    go.set()
    await soon(closing)
    assert ended == ["ended"]


async def test_a_job_that_outlasts_the_grace_is_given_back_with_its_attempt() -> None:
    router = Router[object]("r")
    started = asyncio.Event()

    @router.job
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    driver = SpyDriver()
    app = Stoker(driver, jobs=[router], autostart_worker=WorkerOptions(grace=0))
    await app.open()
    handle = await app.schedule(endless)
    await soon(started.wait())
    await soon(app.close())
    await app.open(autostart=False)
    record = await handle.record()
    assert record is not None
    assert (record.state.value, record.attempt, record.crashes) == ("ready", 0, 0)
    await app.close()


async def test_run_worker_opens_the_app_without_its_autostarted_worker(driver: SpyDriver) -> None:
    stop = asyncio.Event()
    router = Router[object]("r")
    workers: list[str] = []

    @router.job
    async def once() -> None:
        workers.extend(presence.worker for presence in await driver.workers())
        stop.set()

    async with Stoker(driver, jobs=[router]) as plain:
        await plain.schedule(once)
    app = Stoker(driver, jobs=[router], autostart_worker=True)
    await soon(app.run_worker(stop=stop))
    assert len(workers) == 1
    assert driver.closed == driver.opened == 2


async def test_run_worker_on_an_open_app_leaves_it_open() -> None:
    stop = asyncio.Event()
    stop.set()
    async with Stoker("memory://", jobs=[ROUTER]) as app:
        await soon(app.run_worker(stop=stop))
        assert (await app.schedule(job, 1)).created


async def test_a_cancelled_run_worker_stops_gracefully() -> None:
    driver = SpyDriver()
    app = Stoker(driver, jobs=[ROUTER])
    task = asyncio.create_task(app.run_worker())
    await until(lambda: "claim" in driver.calls)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert driver.closed == 1


async def test_a_worker_that_died_is_an_error_on_close_and_a_loud_one_in_the_log(
    driver: SpyDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.raises_always["claim"] = RuntimeError("a defect")
    app = Stoker(driver, jobs=[ROUTER], autostart_worker=WorkerOptions(grace=0))
    with caplog.at_level(logging.CRITICAL, "stoker.worker"):
        await app.open()
        await until(lambda: caplog.records)
    with pytest.raises(WorkerCrashed, match=r"the fetcher of worker .* died: .*a defect") as caught:
        await soon(app.close())
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert driver.closed == 1
    await driver.open()


async def test_a_worker_that_dies_ends_run_worker_with_the_error(driver: SpyDriver) -> None:
    driver.raises_always["claim"] = RuntimeError("a defect")
    app = Stoker(driver, jobs=[ROUTER])
    with pytest.raises(WorkerCrashed, match="a defect"):
        await soon(app.run_worker(WorkerOptions(grace=0)))


def test_an_app_that_could_not_work_is_refused_when_it_is_built() -> None:
    with pytest.raises(ConfigurationError, match=r"call await app\.run_until_idle"):
        Stoker("memory://", jobs=[ROUTER], clock=ManualClock(), autostart_worker=True)
    with pytest.raises(InvalidOption, match=r"queue .* is not allowed"):
        Stoker("memory://", jobs=[ROUTER], prefix="a\nb")


@pytest.mark.parametrize(
    ("capability", "options", "why"),
    [
        (Capability.PRIORITY, {"priority": 9}, "has a priority"),
        (Capability.UNIQUE, {"unique": None}, None),
        (Capability.SCHEDULE, {}, "recurs by a schedule"),
    ],
)
def test_a_job_that_needs_what_the_driver_cannot_do_is_refused_when_the_app_is_built(
    capability: Capability, options: Any, why: str | None
) -> None:
    router = Router[object]("r")
    if capability is Capability.SCHEDULE:
        router.every(60)(nothing)
    else:
        router.job(**options)(nothing)
    driver = SpyDriver(without=[capability])
    if why is None:
        Stoker(driver, jobs=[router])
        return
    with pytest.raises(MissingCapability) as caught:
        Stoker(driver, jobs=[router])
    assert f"r.nothing {why}, which the driver memory cannot do" in str(caught.value)
    assert f"it lacks the capability '{capability.value}'" in str(caught.value)


async def nothing() -> None: ...


async def test_an_app_with_a_prefix_sees_its_own_jobs_only() -> None:
    driver = SpyDriver()
    prod, test = (
        Stoker(d, jobs=[ROUTER], prefix=p) for d, p in ((driver, "prod"), (driver.clone(), "test"))
    )
    async with prod, test:
        mine = await prod.schedule(job, 1)
        assert (await prod.queues(), await test.queues()) == (["default"], [])
        assert await test.get(mine.id) is None
        assert await test.run_until_idle() == 0
        assert await prod.run_until_idle() == 1
        record = await prod.get(mine.id)
        assert record is not None
        assert record.key.queue == mine.queue == "default"
        assert await driver.queues() == ["prod:default"]


@pytest.mark.parametrize("prefix", ["", "prod"])
async def test_run_until_idle_serves_queues_that_only_calls_have_named(prefix: str) -> None:
    async with Stoker("memory://", jobs=[ROUTER], prefix=prefix) as app:
        handle = await app.schedule(job, 1, queue="only-here")
        assert await app.run_until_idle() == 1
        assert await handle.result(1) == 2


async def test_run_until_idle_leaves_the_queues_of_other_apps_alone() -> None:
    driver = SpyDriver()
    mine, other = Stoker(driver, jobs=[ROUTER]), Stoker(driver.clone(), jobs=[ROUTER], prefix="b")
    async with mine, other:
        await other.schedule(job, 1, queue="only-here")
        assert await mine.run_until_idle() == 0
        assert await other.run_until_idle() == 1


class Cloned(SpyDriver):
    """Notes the clients that were made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.clones: list[Cloned] = []

    def clone(self) -> "Cloned":
        twin = Cloned()
        twin._store = self._store
        self.clones.append(twin)
        return twin


async def test_a_second_worker_of_an_app_runs_on_a_clone_which_is_closed_with_it() -> None:
    driver = Cloned()
    stop = asyncio.Event()
    async with Stoker(driver, jobs=[ROUTER], autostart_worker=True) as app:
        await until(lambda: "claim" in driver.calls)
        assert driver.clones == []
        second = asyncio.create_task(app.run_worker(stop=stop))
        await until(lambda: driver.clones and "claim" in driver.clones[0].calls)
        (clone,) = driver.clones
        assert (clone.opened, clone.closed) == (1, 0)
        stop.set()
        await soon(second)
        assert (clone.opened, clone.closed, driver.closed) == (1, 1, 0)
        assert await (await app.schedule(job, 1)).result(10) == 2


async def test_the_worker_after_the_first_one_has_ended_runs_on_the_apps_own_client() -> None:
    driver = Cloned()
    stop = asyncio.Event()
    stop.set()
    async with Stoker(driver, jobs=[ROUTER]) as app:
        await soon(app.run_worker(stop=stop))
        await soon(app.run_worker(stop=stop))
    assert driver.clones == []
