"""Whatever user code does costs its own job only, and nothing is forgotten behind a backlog."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from packages.core.tests.application.faults import Faulty, Gate
from packages.core.tests.application.helpers import eventually, within, working
from packages.core.tests.application.stores import Store
from pydantic import BaseModel, field_validator

from stoker import Fixed, JobRun, JobState, Router, Stoker, jobs
from stoker.errors import InvalidPayload, JobFailed
from stoker.testing import ManualClock


async def test_a_due_job_runs_while_a_backlog_makes_every_claim_full(store: Store) -> None:
    router = Router[object]("jobs")
    retried, drained = asyncio.Event(), asyncio.Event()
    left = 0

    @router.job(attempts=2, backoff=Fixed(0.05), priority=9)
    async def flaky(_: None, __: object, job: JobRun) -> None:
        if job.attempt == 1:
            raise ValueError("once")
        retried.set()

    @router.job
    async def filler() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            drained.set()
        # The backlog refills itself until the retry has run: it never ends before.
        if not retried.is_set():
            left += 1
            await app.schedule(filler)

    async with Stoker(store.url, jobs=[router], context=1) as app, within():
        left = 20
        await app.schedule(flaky)
        await app.schedule_many(filler.call() for _ in range(20))
        async with working(app, concurrency=2):
            await retried.wait()
            await drained.wait()


class Picky(BaseModel):
    number: int
    refuse: bool = False

    @field_validator("number")
    @classmethod
    def look_up(cls, number: int) -> int:
        return {1: 1}[number]  # a KeyError, which is no ValueError


async def test_a_validator_that_breaks_is_an_invalid_payload_and_no_dead_worker(
    store: Store, clock: ManualClock
) -> None:
    def app_with(payload: type[Any]) -> Stoker[object]:
        async def handler(_: object) -> None: ...

        router = jobs.router(
            namespace="jobs", jobs={"job": jobs.register(handler=handler, input=payload)}
        )
        return Stoker(store.url, jobs=[router], clock=clock)

    async with app_with(Picky) as app:
        with pytest.raises(InvalidPayload):
            await app.jobs.jobs.schedule("job", {"number": 2})
    async with app_with(dict) as before:
        handle = await before.jobs.jobs.schedule("job", {"number": 2})
        expired = await before.jobs.jobs.schedule("job", {"number": 3}, {"expires": 0})
        await clock.advance(1)
        async with app_with(Picky) as app:
            await app.run_until_idle()
        assert await handle.status() is JobState.SCHEDULED
        assert await expired.status() is JobState.CANCELLED


async def test_a_hook_that_never_ends_does_not_keep_its_job(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker.worker.execution._HOOK_PATIENCE", 0.1)
    router = Router[object]("jobs")

    @router.job
    async def job(payload: None, context: object, job: JobRun) -> None:
        _ = job.progress(50)

    @router.on_progress
    async def hang(job: JobRun, progress: object) -> None:
        await asyncio.Event().wait()

    async with Stoker(faulty, jobs=[router], context=1) as app, within():
        handle = await app.schedule(job)
        async with working(app):
            await handle.result()


@pytest.mark.parametrize("event", ["on_start", "on_success", "on_complete"])
@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, GeneratorExit])
async def test_whatever_a_hook_raises_goes_no_further(
    store: Store, clock: ManualClock, event: str, error: type[BaseException]
) -> None:
    router = Router[object]("jobs")
    ran: list[int] = []

    @router.job
    async def job(number: int) -> None:
        ran.append(number)

    async def hook(*_: object) -> None:
        raise error

    getattr(router, event)(hook)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handles = await app.schedule_many(job.call(number) for number in range(2))
        await app.run_until_idle(concurrency=1)
        assert [await handle.status() for handle in handles] == [JobState.COMPLETED] * 2
    assert ran == [0, 1]


async def test_jobs_of_one_call_run_in_its_order_whatever_their_ids(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")
    ran: list[str] = []

    @router.job
    async def job(name: str) -> None:
        ran.append(name)

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await app.schedule_many(job.call(name, job_id=name) for name in "zma")
        await app.run_until_idle(concurrency=1)
    assert ran == ["z", "m", "a"]


async def test_a_lease_is_kept_alive_until_its_settlement_is_answered(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    runs = 0

    @router.job
    async def job() -> None:
        nonlocal runs
        runs += 1

    gate = faulty.faults["settle"] = Gate(only=1)
    async with Stoker(faulty, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        async with working(app, lease=0.6):
            await gate.reached.wait()
            await faulty.called("reap", 8)  # more than a lease passes
            gate.open()
            await handle.result()
    assert runs == 1


async def test_who_opens_or_closes_an_app_second_waits_for_the_first(store: Store) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> int:
        return 1

    app = Stoker(store.url, jobs=[router], autostart_worker=True)

    async def use() -> int:
        await app.open()
        handle = await app.schedule(job)
        return await handle.result()

    async with within():
        assert list(await asyncio.gather(use(), use())) == [1, 1]
        await asyncio.gather(app.close(), app.close())


async def test_a_service_that_is_cancelled_by_others_ends_the_worker_loudly(store: Store) -> None:
    router = Router[object]("jobs")
    app = Stoker(store.url, jobs=[router], autostart_worker=True)
    await app.open()
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "stoker-fetcher"]
    task.cancel()

    async def ended() -> bool:
        return app._autostarted is not None and app._autostarted[0].done()

    async with within():
        await eventually(ended)
        with pytest.raises(Exception, match="the fetcher of worker"):
            await app.close()


async def test_a_thread_that_goes_on_after_its_timeout_can_tell_that_it_does_not_count(
    store: Store,
) -> None:
    router = Router[object]("jobs")
    go, seen = threading.Event(), asyncio.Queue[bool]()
    loop = asyncio.get_running_loop()

    @router.job(timeout=0.05)
    def job(payload: None, context: object, job: JobRun) -> None:
        go.wait(20)
        loop.call_soon_threadsafe(seen.put_nowait, job.lease_lost)

    async with Stoker(store.url, jobs=[router], context=1) as app, within():
        handle = await app.schedule(job)
        async with working(app):
            with pytest.raises(JobFailed, match="JobTimeout"):
                await handle.result()
            go.set()
            assert await seen.get()


async def test_nothing_goes_on_in_the_dark_when_a_close_is_cancelled(store: Store) -> None:
    router = Router[object]("jobs")
    started = asyncio.Event()

    @router.job
    async def stubborn() -> None:
        started.set()
        await asyncio.Event().wait()

    app = Stoker(store.url, jobs=[router], autostart_worker=True)
    async with within():
        await app.open()
        await app.schedule(stubborn)
        await started.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await app.close()

        async def quiet() -> bool:
            return not [t for t in asyncio.all_tasks() if t.get_name().startswith("stoker-")]

        await eventually(quiet)
