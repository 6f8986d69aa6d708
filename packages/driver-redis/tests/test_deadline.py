"""A time limit that ends a wait, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from stoker_redis._deadline import Deadline


def cancels() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_a_wait_that_takes_too_long_ends_with_a_timeout() -> None:
    with pytest.raises(TimeoutError), Deadline(0):
        await asyncio.Event().wait()
    assert cancels() == 0


async def test_what_ends_in_time_is_left_alone() -> None:
    with Deadline(0):
        pass
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert cancels() == 0


async def test_an_error_of_the_block_goes_through() -> None:
    with pytest.raises(ValueError, match="mine"), Deadline(0):
        raise ValueError("mine")


async def test_a_cancel_by_somebody_else_stays_one() -> None:
    task = asyncio.create_task(waits(10))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancel_that_comes_with_the_timeout_stays_one() -> None:
    task = asyncio.create_task(waits(0, cancel=True))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_was_cancelled_before_has_its_deadlines_all_the_same() -> None:
    async def clean_up() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            with pytest.raises(TimeoutError):
                await waits(0)
        return cancels()

    task = asyncio.create_task(clean_up())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == 1


async def waits(seconds: float, *, cancel: bool = False) -> None:
    """Wait forever, within a deadline; be cancelled right after it has passed, if that is asked."""
    with Deadline(seconds):
        if cancel:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_later(seconds, task.cancel)
        await asyncio.Event().wait()
