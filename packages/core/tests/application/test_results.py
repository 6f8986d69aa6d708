"""What `handle.result()` gives, and what it raises."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from packages.core.tests.application.helpers import within, working
from packages.core.tests.application.stores import Store

from stoker import (
    JobState,
    Router,
    Stoker,
)
from stoker.errors import JobCancelled, JobFailed, JobGone, NotOpen, ResultTimeout
from stoker.testing import ManualClock


def demo() -> Router[object]:
    """Return a router with jobs that end in each way."""
    router = Router[object]("jobs")

    @router.job
    async def echo(number: int) -> int:
        return number

    @router.job
    async def bad() -> None:
        raise ValueError("no")

    return router


async def test_the_result_of_a_completed_job_is_what_its_annotation_says(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> tuple[timedelta, set[int]]:
        return timedelta(seconds=90), {1, 2}

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.result() == (timedelta(seconds=90), {1, 2})


async def test_a_job_without_a_result_gives_none(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> None: ...

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.result() is None  # type: ignore[func-returns-value]


async def test_errors_instead_of_results_name_the_state_and_carry_the_record(
    store: Store, clock: ManualClock
) -> None:
    router = demo()
    bad = router.jobs["bad"]
    async with Stoker(store.url, jobs=[router], clock=clock) as app, within():
        failed = await app.schedule(bad)
        cancelled = await app.schedule(router.jobs["echo"], 1, delay=60)
        removed = await app.schedule(router.jobs["echo"], 1, delay=60)
        not_kept = await app.schedule(router.jobs["echo"], 1, keep_completed=False)
        waiting = await app.schedule(router.jobs["echo"], 1, delay=60)
        await cancelled.cancel("no need")
        await removed.remove()
        await app.run_until_idle()

        with pytest.raises(JobFailed, match="failed: ValueError: no") as caught:
            await failed.result()
        assert caught.value.record.state is JobState.FAILED
        with pytest.raises(JobCancelled, match="cancelled: no need") as caught_cancel:
            await cancelled.result()
        assert caught_cancel.value.record.cancel_reason == "no need"
        with pytest.raises(JobGone, match="removed"):
            await removed.result()
        with pytest.raises(JobGone, match="not kept"):
            await not_kept.result()
        with pytest.raises(ResultTimeout, match=r"within 0\.02 s"):
            await waiting.result(timeout=0.02)
        assert await waiting.status() is JobState.SCHEDULED


async def test_many_wait_for_results_of_a_worker_in_another_app(store: Store) -> None:
    router = demo()
    echo = router.jobs["echo"]
    producer, consumer = (Stoker(store.url, jobs=[code]) for code in (router, demo()))
    async with producer, consumer, within(), working(consumer):
        handles = await producer.schedule_many(echo.call(n) for n in range(20))
        results = await asyncio.gather(*(handle.result() for handle in handles))
    assert results == list(range(20))


async def test_two_can_wait_for_one_job_and_one_can_give_up(store: Store) -> None:
    router = demo()
    async with Stoker(store.url, jobs=[router]) as app, within():
        handle = await app.schedule(router.jobs["echo"], 7)
        with pytest.raises(ResultTimeout):
            await handle.result(timeout=0)
        patient = asyncio.ensure_future(handle.result())
        hasty = asyncio.ensure_future(handle.result())
        await asyncio.sleep(0)
        hasty.cancel()
        async with working(app):
            assert await patient == 7


async def test_closing_the_app_ends_waiting_with_an_error(store: Store) -> None:
    router = demo()
    async with Stoker(store.url, jobs=[router]) as app, within():
        handle = await app.schedule(router.jobs["echo"], 7)
        waiting = asyncio.ensure_future(handle.result())
        await asyncio.sleep(0)
    with pytest.raises(NotOpen):
        await waiting
