"""How many jobs run at a time, of which queues, and by which worker."""

from __future__ import annotations

import asyncio
import threading

from packages.core.tests.application.faults import Faulty
from packages.core.tests.application.helpers import SOON, within, working
from packages.core.tests.application.stores import Store

from stoker import JobState, Router, Stoker


async def test_no_more_jobs_run_at_a_time_than_allowed(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    release, full = asyncio.Event(), asyncio.Event()
    running = most = 0

    @router.job
    async def job() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            full.set()
        await release.wait()
        running -= 1

    async with Stoker(faulty, jobs=[router]) as app, within():
        handles = await app.schedule_many(job.call(queue="ab"[n % 2]) for n in range(10))
        async with working(app, concurrency=3, queues=["a", "b"], lease=0.6):
            await full.wait()
            await faulty.called("reap", 2)  # time enough for a claim too many
            counts = [stats.counts for stats in (await app.stats("a", "b")).values()]
            assert sum(count[JobState.RUNNING] for count in counts) == 3
            assert sum(count[JobState.READY] for count in counts) == 7
            release.set()
            await asyncio.gather(*(handle.result() for handle in handles))
    assert most == 3


async def test_threads_run_side_by_side_up_to_the_concurrency(store: Store) -> None:
    router = Router[object]("jobs")
    together = threading.Barrier(3)

    @router.job
    def job() -> int:
        together.wait(10)
        return 7

    async with Stoker(store.url, jobs=[router]) as app, within(), working(app, concurrency=3):
        handles = await app.schedule_many(job.call() for _ in range(3))
        assert [await handle.result() for handle in handles] == [7, 7, 7]


async def test_a_full_queue_does_not_keep_the_others_waiting(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    release, started = asyncio.Event(), asyncio.Event()

    @router.job(queue="slow")
    async def slow() -> None:
        started.set()
        await release.wait()

    @router.job(queue="fast")
    async def fast() -> int:
        return 7

    async with Stoker(faulty, jobs=[router]) as app:
        await app.schedule(slow)
        async with working(app, concurrency=10, queues={"slow": 1, "fast": 10}):
            try:
                await started.wait()
                async with within(SOON):
                    assert await (await app.schedule(fast)).result() == 7
            finally:
                release.set()


async def test_a_full_queue_does_not_hide_the_due_times_of_others(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    release, started = asyncio.Event(), asyncio.Event()

    @router.job(queue="slow")
    async def slow() -> None:
        started.set()
        await release.wait()

    @router.job(queue="fast")
    async def fast() -> int:
        return 7

    async with Stoker(faulty, jobs=[router]) as app:
        await app.schedule(slow)
        async with working(app, concurrency=10, queues={"slow": 1, "fast": 10}):
            try:
                await started.wait()
                async with within(SOON):
                    assert await (await app.schedule(fast, delay=0.1)).result() == 7
            finally:
                release.set()


async def test_a_queue_with_a_limit_goes_on_as_soon_as_a_place_is_free(store: Store) -> None:
    router = Router[object]("jobs")

    @router.job(queue="slow")
    async def slow() -> None:
        await asyncio.sleep(0.01)  # long enough for the worker to look in vain, and to sleep

    async with Stoker(store.url, jobs=[router]) as app:
        handles = await app.schedule_many(slow.call() for _ in range(5))
        async with working(app, queues={"slow": 1, "fast": 5}), within(SOON):
            await asyncio.gather(*(handle.result() for handle in handles))


async def test_a_worker_serves_only_the_queues_it_is_given(store: Store) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> int:
        return 7

    async with Stoker(store.url, jobs=[router]) as app, within():
        mine = await app.schedule(job, queue="mine")
        other = await app.schedule(job, queue="other")
        async with working(app, queues=["mine"]):
            assert await mine.result() == 7
        assert await other.status() is JobState.READY


async def test_two_workers_of_one_app_share_its_jobs(store: Store) -> None:
    router = Router[object]("jobs")
    together = asyncio.Barrier(2)

    @router.job(queue="a")
    async def a() -> None:
        await together.wait()

    @router.job(queue="b")
    async def b() -> None:
        await together.wait()

    app = Stoker(store.url, jobs=[router])
    async with app, within(), working(app, queues=["a"]), working(app, queues=["b"]):
        handles = [await app.schedule(a), await app.schedule(b)]
        for handle in handles:
            await handle.result()
