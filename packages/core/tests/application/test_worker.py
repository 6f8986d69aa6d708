"""A real worker in real time: waking up, keeping leases, reports, cancels, slots."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from packages.core.tests.application.faults import Faulty
from packages.core.tests.application.helpers import SOON, idle, within, working
from packages.core.tests.application.stores import Store

from stoker import JobRun, JobState, Progress, Router, Stoker, WorkerOptions
from stoker.errors import DriverClosed, JobCancelled


async def test_the_autostarted_worker_runs_jobs_until_the_app_is_closed(store: Store) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job(number: int) -> int:
        return number

    app = Stoker(store.url, jobs=[router], autostart_worker=WorkerOptions(concurrency=2))
    async with app, within():
        handles = await app.schedule_many(job.call(n) for n in range(10))
        assert [await handle.result() for handle in handles] == list(range(10))
    async with Stoker(store.url, jobs=[router]) as other, within():
        waiting = await other.schedule(job, 1)
        assert await waiting.status() is JobState.READY


async def test_an_idle_worker_does_not_poll_and_is_woken_by_a_new_job(faulty: Faulty) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> int:
        return 7

    async with Stoker(faulty, jobs=[router]) as app, working(app, lease=0.6):
        await idle(faulty)
        claims, promotes = faulty.calls["claim"], faulty.calls["promote"]
        async with within():
            await faulty.called("reap", 3)
        assert (faulty.calls["claim"], faulty.calls["promote"]) == (claims, promotes)
        async with within(SOON):
            assert await (await app.schedule(job)).result() == 7


async def test_a_delayed_job_starts_when_it_is_due(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    runs: list[JobRun] = []

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        runs.append(run)

    async with Stoker(faulty, jobs=[router], context=object()) as app, working(app):
        await idle(faulty)
        async with within(SOON):
            await (await app.schedule(job, delay=0.2)).result()
    (run,) = runs
    assert run.started_at >= run.run_at == run.enqueued_at + timedelta(seconds=0.2)
    assert faulty.calls["promote"] <= 3, "one promote at the due time, not a poll"


async def test_a_job_that_is_moved_earlier_starts_then(faulty: Faulty) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> int:
        return 7

    async with Stoker(faulty, jobs=[router]) as app, working(app):
        handle = await app.schedule(job, delay=3600)
        await idle(faulty)
        await handle.reschedule(delay=0.05)
        async with within(SOON):
            assert await handle.result() == 7


async def test_a_resumed_queue_is_served_at_once(faulty: Faulty) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> int:
        return 7

    async with Stoker(faulty, jobs=[router]) as app, working(app):
        await app.pause("default")
        handle = await app.schedule(job)
        await idle(faulty)
        await app.resume("default")
        async with within(SOON):
            assert await handle.result() == 7


async def test_a_cancel_reaches_a_running_job_although_all_slots_are_full(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    started = asyncio.Event()

    @router.job
    async def job() -> None:
        started.set()
        await asyncio.Event().wait()

    async with Stoker(faulty, jobs=[router]) as app:
        handle = await app.schedule(job)
        async with working(app, concurrency=1, lease=3600, heartbeat=1200, grace=0), within(SOON):
            await started.wait()
            await handle.cancel("enough")
            with pytest.raises(JobCancelled, match="enough"):
                await handle.result()


async def test_a_cancel_while_a_hook_is_busy_with_progress_leaves_the_job_settled(
    store: Store,
) -> None:
    router = Router[object]("jobs")
    busy, release = asyncio.Event(), asyncio.Event()

    @router.job
    async def job(_: None, __: object, run: JobRun) -> int:
        report = run.progress(50)  # its hooks go on while the handler returns
        assert report is not None
        await busy.wait()
        return 7

    @job.on_progress
    async def slow(_: JobRun, __: Progress) -> None:
        busy.set()
        await release.wait()

    async with Stoker(store.url, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        async with working(app, heartbeat=0.02):
            await busy.wait()
            await handle.cancel()
            await asyncio.sleep(0.1)  # the cancel arrives while the hook holds the run's end back
            release.set()
            assert await handle.result() == 7


@pytest.mark.parametrize("kind", ["async", "def"])
async def test_heartbeats_keep_a_long_job_from_a_second_run(faulty: Faulty, kind: str) -> None:
    router = Router[object]("jobs")
    release, started, runs = threading.Event(), threading.Event(), []

    @router.job
    async def async_job() -> int:
        runs.append("run")
        started.set()
        await asyncio.to_thread(release.wait, 20)
        return 7

    @router.job
    def job() -> int:
        runs.append("run")
        started.set()
        release.wait(20)
        return 7

    async with Stoker(faulty, jobs=[router]) as app, within():
        handle = await app.schedule(async_job if kind == "async" else job)
        async with working(app, lease=0.6):
            # More than a lease passes: the worker itself looks for expired ones six times in it.
            await faulty.called("reap", 8)
            release.set()
            assert await handle.result() == 7
        record = await handle.record()
    assert record is not None
    assert (runs, record.crashes) == (["run"], 0)


async def test_a_blocked_event_loop_does_not_make_a_worker_reap_its_own_jobs(
    faulty: Faulty,
) -> None:
    router = Router[object]("jobs")
    runs: list[str] = []
    release, started = asyncio.Event(), asyncio.Event()

    @router.job
    async def patient() -> None:
        runs.append("patient")
        started.set()
        await release.wait()

    @router.job
    async def rude() -> None:
        runs.append("rude")
        # From the moment after a reap on, so that none is on its way to the store meanwhile.
        await faulty.called("reap")
        time.sleep(0.9)  # noqa: ASYNC251  what nobody should do, and everybody does

    async with Stoker(faulty, jobs=[router]) as app, within():
        first = await app.schedule(patient)
        async with working(app, lease=0.6):
            await started.wait()
            await faulty.called("reap", 2)
            second = await app.schedule(rude)
            await second.result()
            await faulty.called("reap", 3)
            release.set()
            await first.result()
    assert runs == ["patient", "rude"]


# The application's context


async def test_a_lifespan_is_entered_by_workers_once_and_left_with_the_app(store: Store) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[dict[str, int]]:
        events.append("entered")
        yield {"answer": 42}
        events.append("left")

    router = Router[dict[str, int]]("jobs")

    @router.job
    async def job(_: None, context: dict[str, int]) -> int:
        return context["answer"]

    async with Stoker(store.url, jobs=[router], lifespan=lifespan) as app, within():
        handle = await app.schedule(job)
        assert events == []
        async with working(app):
            assert await handle.result() == 42
        async with working(app):
            assert await (await app.schedule(job)).result() == 42
        assert events == ["entered"]
    assert events == ["entered", "left"]


async def test_an_app_whose_lifespan_fails_does_not_stay_half_open(store: Store) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[object]:
        raise RuntimeError("no database")
        yield

    router = Router[object]("jobs")
    app = Stoker(store.url, jobs=[router], lifespan=lifespan, autostart_worker=True)
    try:
        with pytest.raises(RuntimeError, match="no database"):
            async with app:
                pass
        with pytest.raises(DriverClosed):
            await app.driver.queues()
    finally:
        await app.driver.close()
