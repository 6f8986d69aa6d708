"""How a worker ends: gracefully when asked to, loudly when one of its services dies."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from packages.core.tests.application.faults import Faulty, Gate, dying
from packages.core.tests.application.helpers import eventually, idle, within, working
from packages.core.tests.application.stores import Store

from stoker import JobRun, JobState, Router, Stoker, WorkerOptions
from stoker.errors import WorkerCrashed


async def test_running_jobs_finish_within_the_grace_and_nothing_new_starts(store: Store) -> None:
    router = Router[object]("jobs")
    started, release = asyncio.Event(), asyncio.Event()

    @router.job
    async def job() -> int:
        started.set()
        await release.wait()
        return 7

    async with Stoker(store.url, jobs=[router]) as app, within():
        first = await app.schedule(job)
        second = await app.schedule(job)
        stop = asyncio.Event()
        worker = asyncio.create_task(app.run_worker(WorkerOptions(concurrency=1), stop=stop))
        await started.wait()
        stop.set()
        await asyncio.sleep(0)
        assert not worker.done()
        release.set()
        await worker
        assert await first.result() == 7
        assert await second.status() is JobState.READY


async def test_jobs_that_outlast_the_grace_are_given_back_with_their_attempt(
    store: Store,
) -> None:
    router = Router[object]("jobs")
    started, cleaned = asyncio.Event(), asyncio.Event()
    attempts: list[int] = []

    @router.job(attempts=1)
    async def job(_: None, __: object, run: JobRun) -> int:
        attempts.append(run.attempt)
        if len(attempts) > 1:
            return 7
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()
        raise AssertionError

    async with Stoker(store.url, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        async with working(app, grace=0.01):
            await started.wait()
        assert cleaned.is_set(), "the handler had time to clean up"
        record = await handle.record()
        assert record is not None
        assert (record.state, record.attempt, record.crashes) == (JobState.READY, 0, 0)
        async with working(app):
            assert await handle.result() == 7
    assert attempts == [1, 1]


async def test_a_thread_that_outlasts_the_grace_keeps_its_job_from_others_for_a_lease(
    store: Store,
) -> None:
    router = Router[object]("jobs")
    started, release = threading.Event(), threading.Event()
    runs: list[int] = []

    @router.job
    def job(_: None, __: object, run: JobRun) -> int:
        runs.append(run.crashes)
        if run.crashes:
            return 7
        started.set()
        release.wait(20)
        return 6

    async with Stoker(store.url, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        async with working(app, grace=0.01, lease=0.6):
            await asyncio.to_thread(started.wait, 20)
        try:
            assert await handle.status() is JobState.RUNNING
            async with working(app, lease=0.6):
                assert await handle.result() == 7
        finally:
            release.set()
    assert runs == [0, 1]


async def test_what_a_claim_in_flight_brings_is_given_back(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    ran: list[int] = []
    gate = faulty.faults["claim"] = Gate(after=True)

    @router.job
    async def job(number: int) -> None:
        ran.append(number)

    async with Stoker(faulty, jobs=[router]) as app, within():
        handles = [await app.schedule(job, number) for number in range(3)]
        stop = asyncio.Event()
        worker = asyncio.create_task(app.run_worker(stop=stop))
        await gate.reached.wait()
        assert await handles[0].status() is JobState.RUNNING
        stop.set()
        await asyncio.sleep(0)
        gate.open()
        await worker
        for handle in handles:
            record = await handle.record()
            assert record is not None
            assert (record.state, record.attempt) == (JobState.READY, 0)
    assert ran == []
    assert faulty.calls["claim"] == 1


@pytest.mark.parametrize("step", range(12))
async def test_a_stop_in_the_moment_of_a_wake_up_is_not_swallowed(
    faulty: Faulty, step: int
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> None: ...

    async with Stoker(faulty, jobs=[router]) as app, within():
        stop = asyncio.Event()
        worker = asyncio.create_task(app.run_worker(stop=stop))
        await idle(faulty)
        stop.set()
        for _ in range(step):
            await asyncio.sleep(0)
        await app.schedule(job)
        async with within(2):
            await worker


async def test_a_cancelled_worker_stops_gracefully(store: Store) -> None:
    router = Router[object]("jobs")
    started, release = asyncio.Event(), asyncio.Event()

    @router.job
    async def job() -> int:
        started.set()
        await release.wait()
        return 7

    async with Stoker(store.url, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        worker = asyncio.create_task(app.run_worker())
        await started.wait()
        worker.cancel()
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await worker
        assert await handle.result() == 7


async def test_run_worker_opens_and_closes_an_app_that_is_not_open(store: Store) -> None:
    router = Router[object]("jobs")
    ran = asyncio.Event()

    @router.job
    async def job() -> None:
        ran.set()

    async with Stoker(store.url, jobs=[router]) as producer:
        await producer.schedule(job)
    stop = asyncio.Event()
    app = Stoker(store.url, jobs=[router], autostart_worker=True)
    async with within():
        worker = asyncio.create_task(app.run_worker(stop=stop))
        await ran.wait()
        stop.set()
        await worker
    async with app:
        await app.queues()


async def test_a_worker_announces_itself_and_withdraws(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    async with Stoker(faulty, jobs=[router]) as app, within():
        async with working(app):
            if not faulty.calls["announce"]:
                await faulty.called("announce")
            (worker,) = await faulty.workers()
            assert worker.queues == ("default",)
        assert await faulty.workers() == []


DEADLY = ["claim", "extend", "settle", "promote", "reap", "wait", "purge", "announce"]


def deadly_work() -> tuple[Router[object], asyncio.Event]:
    """Return jobs that need every operation of a worker, and an event that ends them."""
    router = Router[object]("jobs")
    release = asyncio.Event()

    @router.job
    async def quick() -> None: ...

    @router.job
    async def slow() -> None:
        await release.wait()

    return router, release


async def keep_busy(app: Stoker[object], router: Router[object]) -> None:
    """Schedule them."""
    await app.schedule(router.jobs["quick"])
    await app.schedule(router.jobs["quick"], delay=0.02)
    await app.schedule(router.jobs["slow"])


@pytest.mark.parametrize("operation", DEADLY)
async def test_a_dead_service_ends_the_worker_with_its_error(
    faulty: Faulty, operation: str
) -> None:
    router, release = deadly_work()
    error = RuntimeError("a defect, says the test")
    faulty.faults[operation] = dying(error)
    async with Stoker(faulty, jobs=[router]) as app, within():
        await keep_busy(app, router)
        options = WorkerOptions(lease=0.3, heartbeat=0.05, purge=0.05, grace=0)
        with pytest.raises(WorkerCrashed) as caught:
            await app.run_worker(options)
        release.set()
    assert caught.value.__cause__ is error


async def test_a_dead_service_of_the_autostarted_worker_shows_when_the_app_is_closed(
    faulty: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    router, release = deadly_work()
    faulty.faults["promote"] = dying(RuntimeError("a defect, says the test"))
    options = WorkerOptions(grace=0)
    app = Stoker(faulty, jobs=[router], autostart_worker=options)

    async def is_logged() -> bool:
        return any(record.levelno == logging.CRITICAL for record in caplog.records)

    await app.open()
    async with within():
        await keep_busy(app, router)
        await eventually(is_logged)
        release.set()
        with pytest.raises(WorkerCrashed, match="promoter"):
            await app.close()
    assert faulty.calls["close"] == 1, "the driver is closed all the same"


async def test_a_worker_with_a_dead_service_gives_its_running_jobs_back(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    started = asyncio.Event()

    @router.job
    async def job() -> None:
        started.set()
        await asyncio.Event().wait()

    reached, die = asyncio.Event(), asyncio.Event()

    async def dies_when_told(_: object) -> None:
        reached.set()
        await die.wait()
        raise RuntimeError("a defect, says the test")

    async def takes_a_while(call: Any) -> Any:
        for _ in range(100):
            await asyncio.sleep(0)
        return await call()

    faulty.faults["promote"] = dies_when_told
    faulty.faults["settle"] = takes_a_while
    async with Stoker(faulty, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        await app.schedule(job, delay=0.01)
        worker = asyncio.create_task(app.run_worker(WorkerOptions(grace=0)))
        await started.wait()
        await reached.wait()
        die.set()
        with pytest.raises(WorkerCrashed):
            await worker
        record = await handle.record()
    assert record is not None
    assert (record.state, record.attempt) == (JobState.READY, 0)
