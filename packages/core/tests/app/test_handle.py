"""What can be done with a scheduled job."""

import asyncio
from datetime import timedelta

import pytest
from packages.core.tests.support import soon

from stoker import Cancel, ChangeStatus, JobState, Router, Stoker
from stoker.errors import (
    InvalidOption,
    InvalidTime,
    JobCancelled,
    JobFailed,
    JobGone,
    ResultError,
    ResultTimeout,
)
from stoker.testing import ManualClock

ROUTER = Router[object]("r")


@ROUTER.job
async def double(payload: int) -> int:
    return payload * 2


@ROUTER.job
async def fail() -> None:
    raise ValueError("no such user")


@ROUTER.job
async def give_up() -> None:
    raise Cancel("not needed any more")


@ROUTER.job
async def nothing() -> None: ...


async def test_a_result_is_what_the_handler_returned() -> None:
    async with Stoker("memory://", jobs=[ROUTER]) as app:
        handle = await app.schedule(double, 3)
        empty = await app.schedule(nothing)
        assert await handle.status() is JobState.READY
        await app.run_until_idle()
        assert await handle.result(1) == 6
        nothing_at_all: object = await empty.result(1)  # type: ignore[func-returns-value]
        assert nothing_at_all is None
        assert await handle.status() is JobState.COMPLETED


async def test_a_failed_job_raises_its_stored_error() -> None:
    async with Stoker("memory://", jobs=[ROUTER]) as app:
        handle = await app.schedule(fail)
        await app.run_until_idle()
        with pytest.raises(
            JobFailed, match=r"r\.fail .* failed: ValueError: no such user"
        ) as caught:
            await handle.result(1)
        assert caught.value.record.state is JobState.FAILED
        assert handle.id in str(caught.value)


async def test_a_cancelled_job_raises_its_reason() -> None:
    async with Stoker("memory://", jobs=[ROUTER]) as app:
        by_handler = await app.schedule(give_up)
        by_hand = await app.schedule(double, 1, delay=60)
        await app.run_until_idle()
        changed = await by_hand.cancel("a mistake")
        assert (changed.status, changed.state) == (ChangeStatus.DONE, JobState.CANCELLED)
        with pytest.raises(JobCancelled, match="was cancelled: not needed any more"):
            await by_handler.result(1)
        with pytest.raises(JobCancelled, match="was cancelled: a mistake") as caught:
            await by_hand.result(1)
        assert caught.value.record.state is JobState.CANCELLED


async def test_a_job_without_a_record_is_gone() -> None:
    async with Stoker("memory://", jobs=[ROUTER]) as app:
        not_kept = await app.schedule(double, 1, keep_completed=False)
        removed = await app.schedule(double, 1)
        await removed.remove()
        await app.run_until_idle()
        for handle in (not_kept, removed, app.handle(double, "never there")):
            with pytest.raises(
                JobGone, match="was removed, or it ended and was not kept"
            ) as caught:
                await handle.result(1)
            assert caught.value.record is None
            assert await handle.status() is None
            assert await handle.record() is None


async def test_a_wait_ends_after_its_timeout_and_the_job_goes_on() -> None:
    async with Stoker("memory://", jobs=[ROUTER]) as app:
        handle = await app.schedule(double, 1)
        for timeout in (0.01, timedelta(milliseconds=10)):
            with pytest.raises(ResultTimeout, match="has not ended within"):
                await handle.result(timeout)
        with pytest.raises(TimeoutError, match="has not ended yet"):
            await handle.result(0)
        await app.run_until_idle()
        assert await handle.result(1) == 2
        assert await handle.result(0) == 2


async def test_a_timeout_that_is_none_is_refused() -> None:
    async with Stoker("memory://", jobs=[ROUTER]) as app:
        handle = await app.schedule(double, 1)
        with pytest.raises(InvalidOption, match="timeout=-1: give zero or more seconds"):
            await handle.result(-1)


async def test_all_errors_of_a_result_can_be_caught_together() -> None:
    assert all(
        issubclass(error, ResultError)
        for error in (JobFailed, JobCancelled, JobGone, ResultTimeout)
    )


async def test_a_handle_made_from_an_id_awaits_the_same_job() -> None:
    async with Stoker("memory://", jobs=[ROUTER], prefix="prod") as app:
        first = await app.schedule(double, 4)
        await app.run_until_idle()
        handle = app.handle(double, first.id)
        assert (handle.id, handle.queue, handle.name) == (first.id, "default", "r.double")
        assert await handle.result(1) == 8
        assert repr(handle) == f"<JobHandle r.double {first.id} in default>"


async def test_a_waiting_job_can_be_moved_and_a_failed_one_repeated(clock: ManualClock) -> None:
    async with Stoker("memory://", jobs=[ROUTER], clock=clock) as app:
        handle = await app.schedule(double, 1, delay=timedelta(days=1))
        assert (await handle.reschedule(delay=60)).status is ChangeStatus.DONE
        record = await handle.record()
        assert record is not None
        assert record.run_at == clock.now() + timedelta(minutes=1)
        assert (await handle.reschedule()).state is JobState.READY
        assert (await handle.reschedule(at=clock.now() + timedelta(1))).status is ChangeStatus.DONE
        with pytest.raises(InvalidTime, match="either delay= or at="):
            await handle.reschedule(delay=1, at=clock.now())
        with pytest.raises(InvalidTime, match="delay=-1"):
            await handle.reschedule(delay=-1)

        failing = await app.schedule(fail)
        await app.run_until_idle()
        assert await failing.status() is JobState.FAILED
        assert (await failing.retry()).status is ChangeStatus.DONE
        assert await failing.status() is JobState.READY
        assert (await failing.cancel()).status is ChangeStatus.DONE
        assert (await failing.cancel()).status is ChangeStatus.NOT_APPLICABLE
        assert (await failing.remove()).status is ChangeStatus.DONE
        assert (await failing.remove()).status is ChangeStatus.GONE


async def test_a_result_is_awaited_while_the_job_runs_elsewhere() -> None:
    async with Stoker("memory://", jobs=[ROUTER]) as app:
        handle = await app.schedule(double, 5)
        task = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
        await app.run_until_idle()
        assert await soon(task) == 10
