"""Which hook runs when: each line of the table, with hooks at job and router level."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from packages.core.tests.application.faults import Faulty
from packages.core.tests.application.helpers import Told, both, eventually, within, working
from packages.core.tests.application.stores import Store

from stoker import (
    Cancel,
    Fail,
    Fixed,
    JobRun,
    JobState,
    Progress,
    Router,
    Snooze,
    Stoker,
)
from stoker.driver import Want
from stoker.errors import JobCancelled, JobFailed
from stoker.registry import driver_for
from stoker.testing import ManualClock
from stoker.worker.failure import WorkerLost


async def outcome(
    store: Store, clock: ManualClock, handler: Any, told: Told, **options: Any
) -> JobState | None:
    """Schedule one job, run all that is due now, and return the job's state."""
    router = Router[object]("jobs")
    job = router.job(**options)(handler)
    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        return await handle.status()


async def test_a_handler_that_returns_is_started_successful_and_complete(
    store: Store, clock: ManualClock
) -> None:
    told = Told()

    async def handler() -> int:
        assert told.names == both("on_start")
        return 7

    assert await outcome(store, clock, handler, told) is JobState.COMPLETED
    assert told.names == both("on_start", "on_success", "on_complete")
    assert [call.detail for call in told.calls if call.event == "on_success"] == [7, 7]


async def test_a_handler_in_a_thread_is_told_about_in_the_same_way(
    store: Store, clock: ManualClock
) -> None:
    told = Told()

    def handler() -> int:
        return 7

    assert await outcome(store, clock, handler, told) is JobState.COMPLETED
    assert told.names == both("on_start", "on_success", "on_complete")


async def test_progress_is_told_while_the_handler_runs(store: Store, clock: ManualClock) -> None:
    told = Told()

    async def handler(_: None, __: object, job: JobRun) -> None:
        await job.progress(50, "half")
        assert told.names == both("on_start", "on_progress")
        await job.progress(100)

    router = Router[object]("jobs")
    job = router.job(handler)
    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        await app.schedule(job)
        await app.run_until_idle()

    assert told.names == both("on_start", "on_progress", "on_progress", "on_success", "on_complete")
    assert told.of("job.on_progress")[0].detail == Progress(50, "half")
    assert told.of("router.on_progress")[1].detail == Progress(100)


async def test_progress_from_a_thread_is_told(store: Store, clock: ManualClock) -> None:
    told = Told()

    def handler(_: None, __: object, job: JobRun) -> None:
        report = job.progress(50, "half")
        assert report is not None

    router = Router[object]("jobs")
    job = router.job(handler)
    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        await app.schedule(job)
        await app.run_until_idle()

    assert sorted(told.names) == sorted(
        both("on_start", "on_progress", "on_success", "on_complete")
    )
    assert told.of("router.on_progress")[0].detail == Progress(50, "half")


async def test_an_error_with_attempts_left_is_told_to_on_retry_alone(
    store: Store, clock: ManualClock
) -> None:
    told = Told()
    error = ValueError("no")

    async def handler() -> None:
        raise error

    state = await outcome(store, clock, handler, told, attempts=2, backoff=Fixed(60))
    assert state is JobState.SCHEDULED
    assert told.names == both("on_start", "on_retry")
    assert [call.detail for call in told.calls if call.event == "on_retry"] == [error, error]
    assert not told.calls[0].run.is_final_attempt


async def test_a_retry_that_is_due_at_once_is_told_to_on_retry(
    store: Store, clock: ManualClock
) -> None:
    told = Told()

    async def handler(_: None, __: object, job: JobRun) -> None:
        if job.attempt == 1:
            raise ValueError

    router = Router[object]("jobs")
    job = router.job(attempts=2, backoff=Fixed(0))(handler)
    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        await app.schedule(job)
        assert await app.run_until_idle() == 2

    assert told.names == both("on_start", "on_retry", "on_start", "on_success", "on_complete")


async def test_an_error_in_the_last_attempt_is_told_to_on_failure(
    store: Store, clock: ManualClock
) -> None:
    told = Told()
    error = ValueError("no")

    async def handler() -> None:
        raise error

    assert await outcome(store, clock, handler, told, attempts=1) is JobState.FAILED
    assert told.names == both("on_start", "on_failure", "on_complete")
    assert told.of("job.on_failure")[0].detail is error
    assert told.of("router.on_failure")[0].run.is_final_attempt


async def test_fail_is_a_failure_with_its_cause_although_attempts_are_left(
    store: Store, clock: ManualClock
) -> None:
    told = Told()
    cause = ValueError("declined")

    async def handler() -> None:
        raise Fail("the bank said no") from cause

    assert await outcome(store, clock, handler, told, attempts=5) is JobState.FAILED
    assert told.names == both("on_start", "on_failure", "on_complete")
    assert told.of("job.on_failure")[0].detail is cause


@pytest.mark.parametrize("attempts", [1, 2])
async def test_a_timeout_is_a_failed_attempt(
    store: Store, clock: ManualClock, attempts: int
) -> None:
    told = Told()

    async def handler() -> None:
        await asyncio.Event().wait()

    await outcome(store, clock, handler, told, attempts=attempts, timeout=0.02, backoff=Fixed(60))
    last = ("on_retry",) if attempts == 2 else ("on_failure", "on_complete")
    assert told.names == both("on_start", *last)
    assert isinstance(told.calls[-1 if attempts == 2 else 2].detail, TimeoutError)


async def test_a_timeout_in_a_thread_is_a_failed_attempt(store: Store, clock: ManualClock) -> None:
    told = Told()
    release = threading.Event()
    router = Router[object]("jobs")

    @router.job(timeout=0.02)
    def job() -> None:
        release.wait(20)

    told.listen(router, job)
    router.on_failure(lambda _run, _error: release.set())
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await app.schedule(job)
        await app.run_until_idle()

    assert release.is_set()
    assert told.names == both("on_start", "on_failure", "on_complete")


async def test_a_handler_that_cancels_itself_is_complete_and_nothing_else(
    store: Store, clock: ManualClock
) -> None:
    told = Told()

    async def handler() -> None:
        raise Cancel("nothing to do")

    assert await outcome(store, clock, handler, told) is JobState.CANCELLED
    assert told.names == both("on_start", "on_complete")


async def test_a_snooze_is_told_to_nobody(store: Store, clock: ManualClock) -> None:
    told = Told()

    async def handler() -> None:
        raise Snooze(60)

    assert await outcome(store, clock, handler, told) is JobState.SCHEDULED
    assert told.names == both("on_start")


async def test_an_expired_job_is_complete_without_a_start(store: Store, clock: ManualClock) -> None:
    told = Told()
    router = Router[object]("jobs")

    @router.job(expires=60)
    async def job() -> None: ...

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await clock.advance(61)
        await app.run_until_idle()
        assert await handle.status() is JobState.CANCELLED

    assert told.names == both("on_complete")


async def test_an_async_handler_that_is_cancelled_while_it_runs_is_complete(store: Store) -> None:
    told = Told()
    started = asyncio.Event()
    router = Router[object]("jobs")

    @router.job
    async def job() -> None:
        started.set()
        await asyncio.Event().wait()

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        async with working(app):
            await started.wait()
            await handle.cancel("changed my mind")
            with pytest.raises(JobCancelled, match="changed my mind"):
                await handle.result()

    assert told.names == both("on_start", "on_complete")


async def test_a_thread_that_is_cancelled_and_gives_up_is_complete(store: Store) -> None:
    told = Told()
    started = threading.Event()
    router = Router[object]("jobs")

    @router.job(attempts=3)
    def job(_: None, __: object, run: JobRun) -> None:
        started.set()
        while not run.cancel_requested:
            threading.Event().wait(0.005)
        raise RuntimeError("given up")

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        async with working(app):
            await asyncio.to_thread(started.wait, 20)
            await handle.cancel("changed my mind")
            with pytest.raises(JobCancelled, match="changed my mind"):
                await handle.result()

    assert told.names == both("on_start", "on_complete")


async def test_a_thread_that_is_cancelled_and_finishes_all_the_same_is_successful(
    store: Store,
) -> None:
    told = Told()
    started, release = threading.Event(), threading.Event()
    router = Router[object]("jobs")

    @router.job
    def job(_: None, __: object, run: JobRun) -> int:
        started.set()
        release.wait(20)
        return 7

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        async with working(app):
            await asyncio.to_thread(started.wait, 20)
            await handle.cancel()
            await eventually(lambda: _true(told.calls[0].run.cancel_requested))
            release.set()
            assert await handle.result() == 7

    assert told.names == both("on_start", "on_success", "on_complete")


async def test_a_waiting_job_that_is_cancelled_is_told_to_nobody(
    store: Store, clock: ManualClock
) -> None:
    told = Told()
    router = Router[object]("jobs")

    @router.job
    async def job() -> None: ...

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await handle.cancel()
        assert await app.run_until_idle() == 0

    assert told.names == []


async def test_a_job_that_is_released_at_shutdown_is_told_to_nobody(store: Store) -> None:
    told = Told()
    started = asyncio.Event()
    router = Router[object]("jobs")

    @router.job
    async def job() -> None:
        started.set()
        await asyncio.Event().wait()

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        async with working(app, grace=0):
            await started.wait()
        assert await handle.status() is JobState.READY

    assert told.names == both("on_start")


async def test_a_run_whose_lease_was_lost_is_stopped_and_told_to_nobody(faulty: Faulty) -> None:
    told = Told()
    started, stopped = asyncio.Event(), asyncio.Event()
    router = Router[object]("jobs")

    @router.job
    async def job() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    told.listen(router, job)
    async with Stoker(faulty, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        async with working(app, heartbeat=0.02):
            await started.wait()
            await handle.remove()
            await stopped.wait()

    assert told.names == both("on_start")
    assert faulty.calls["settle"] == 0


async def test_a_run_that_ends_after_its_lease_was_lost_is_told_to_nobody(faulty: Faulty) -> None:
    told = Told()
    started, release = asyncio.Event(), asyncio.Event()
    router = Router[object]("jobs")

    @router.job
    async def job() -> None:
        started.set()
        await release.wait()

    told.listen(router, job)
    async with Stoker(faulty, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        async with working(app):
            await started.wait()
            await handle.remove()
            release.set()
            await faulty.called("settle")

    assert told.names == both("on_start")


async def abandon(store: Store, clock: ManualClock) -> None:
    """Claim all that is ready in the default queue, as a worker does that then disappears."""
    driver = driver_for(store.url)
    await driver.open()
    lease = timedelta(seconds=10)
    claimed = await driver.claim([Want("default", 10)], worker="gone", lease=lease, now=clock.now())
    assert claimed.leases
    await driver.close()
    await clock.advance(11)


async def test_a_job_that_is_reaped_for_another_run_is_told_only_of_that_run(
    store: Store, clock: ManualClock
) -> None:
    told = Told()
    router = Router[object]("jobs")

    @router.job(max_crashes=1)
    async def job() -> None: ...

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await app.schedule(job)
        await abandon(store, clock)
        await app.run_until_idle()

    assert told.names == both("on_start", "on_success", "on_complete")
    assert (told.calls[0].run.crashes, told.calls[0].run.attempt) == (1, 1)


async def test_a_job_that_is_reaped_once_too_often_is_told_to_on_failure(
    store: Store, clock: ManualClock
) -> None:
    told = Told()
    router = Router[object]("jobs")

    @router.job(max_crashes=0)
    async def job() -> None: ...

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await abandon(store, clock)
        assert await app.run_until_idle() == 0
        assert await handle.status() is JobState.FAILED

    assert told.names == both("on_failure", "on_complete")
    assert isinstance(told.of("router.on_failure")[0].detail, WorkerLost)
    assert "gone" in str(told.of("router.on_failure")[0].detail)


async def test_a_job_that_was_to_be_cancelled_when_it_is_reaped_is_complete(
    store: Store, clock: ManualClock
) -> None:
    told = Told()
    router = Router[object]("jobs")

    @router.job
    async def job() -> None: ...

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await abandon(store, clock)
        await handle.cancel()
        assert await app.run_until_idle() == 0
        assert await handle.status() is JobState.CANCELLED

    assert told.names == both("on_complete")


async def test_hooks_get_the_context_and_the_payload(store: Store, clock: ManualClock) -> None:
    told = Told()
    context = {"name": "the application"}
    router = Router[dict[str, str]]("jobs")

    @router.job
    async def job(payload: int) -> None: ...

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], context=context, clock=clock) as app:
        await app.schedule(job, 5)
        await app.run_until_idle()

    assert len(told.calls) == 6
    assert all(call.run.context is context for call in told.calls)
    assert [call.run.payload for call in told.calls] == [5] * 6


@pytest.mark.parametrize("end", ["expired", "reaped"])
async def test_hooks_of_a_job_that_never_started_here_get_the_payload_too(
    store: Store, clock: ManualClock, end: str
) -> None:
    told = Told()
    router = Router[object]("jobs")

    @router.job(expires=60, max_crashes=0)
    async def job(payload: int) -> None: ...

    told.listen(router, job)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await app.schedule(job, 5)
        if end == "reaped":
            await abandon(store, clock)
        else:
            await clock.advance(61)
        assert await app.run_until_idle() == (0 if end == "reaped" else 1)

    assert told.calls
    assert {call.run.payload for call in told.calls} == {5}


EVERY_END = {
    "on_start": 3,
    "on_progress": 1,
    "on_success": 1,
    "on_failure": 1,
    "on_retry": 1,
    "on_complete": 2,
}
"""How often each hook is called by the jobs of the test below."""


@pytest.mark.parametrize("event", EVERY_END)
@pytest.mark.parametrize("kind", ["async", "def"])
async def test_an_error_in_a_hook_is_logged_and_costs_nothing(
    store: Store,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    event: str,
    kind: str,
) -> None:
    router = Router[object]("jobs")
    after: list[str] = []

    @router.job
    async def good(_: None, __: object, job: JobRun) -> int:
        await job.progress(50)
        return 7

    @router.job(attempts=2, backoff=Fixed(0))
    async def bad() -> None:
        raise ValueError

    async def async_hook(*_: object) -> None:
        raise RuntimeError("the hook is broken")

    def hook(*_: object) -> None:
        raise RuntimeError("the hook is broken")

    getattr(router, event)(async_hook if kind == "async" else hook)
    getattr(router, event)(lambda *_: after.append(event))
    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        first, second = await app.schedule(good), await app.schedule(bad)
        with caplog.at_level(logging.ERROR, "stoker.worker"):
            assert await app.run_until_idle() == 3
        assert await first.result() == 7
        with pytest.raises(JobFailed, match="ValueError"):
            await second.result()

    told = [r for r in caplog.records if r.exc_info and "the hook is broken" in str(r.exc_info[1])]
    assert len(told) == EVERY_END[event]
    assert all(event in record.getMessage() for record in told)
    assert after == [event] * EVERY_END[event]


async def test_a_slow_hook_does_not_keep_the_result_from_its_waiter(store: Store) -> None:
    release = asyncio.Event()
    finished = False
    router = Router[object]("jobs")

    @router.job
    async def job() -> int:
        return 7

    @job.on_success
    async def slow(_: JobRun, __: int) -> None:
        nonlocal finished
        await release.wait()
        finished = True

    async with Stoker(store.url, jobs=[router]) as app, within(), working(app):
        handle = await app.schedule(job)
        assert await handle.result() == 7
        assert not finished
        release.set()
    assert finished


async def _true(answer: bool) -> bool:
    return answer
