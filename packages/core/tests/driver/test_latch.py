"""The latch keeps what a driver has heard until a wait takes it."""

from __future__ import annotations

import asyncio

import pytest

from stoker.driver import Wake
from stoker.driver.latch import Latch
from stoker.errors import InvalidInput

LONG = 60.0


@pytest.fixture
def latch() -> Latch:
    """One that knows the queues `a` and `b`."""
    latch = Latch()
    assert latch.begin(["a", "b"])
    return latch


async def waiting(latch: Latch, *queues: str) -> asyncio.Task[Wake]:
    """Begin a wait."""
    task = asyncio.create_task(latch.wait(queues, LONG))
    await asyncio.sleep(0)
    return task


async def test_a_hint_between_two_waits_ends_the_next_and_no_other(latch: Latch) -> None:
    latch.hear("a", Wake.WORK)
    latch.hear("a", Wake.CANCEL)
    assert await latch.wait(["a"], LONG) == Wake.WORK | Wake.CANCEL
    assert await latch.wait(["a"], 0) == Wake.NOTHING


async def test_a_hint_ends_the_wait_for_its_queue_alone(latch: Latch) -> None:
    wait = await waiting(latch, "a")
    latch.hear("b", Wake.WORK)
    latch.hear("nobody's", Wake.WORK)
    await asyncio.sleep(0)
    assert not wait.done()
    latch.hear("a", Wake.CANCEL)
    assert await wait == Wake.CANCEL
    assert await latch.wait(["b"], 0) == Wake.WORK


async def test_after_a_gap_every_queue_is_hinted_at(latch: Latch) -> None:
    latch.hear_all()
    for queue in ("a", "b"):
        assert await latch.wait([queue], 0) == Wake.WORK | Wake.CANCEL


async def test_a_second_waiter_is_refused_and_the_first_goes_on(latch: Latch) -> None:
    wait = await waiting(latch, "a")
    with pytest.raises(InvalidInput, match="waiting already"):
        await latch.wait(["b"], LONG)
    latch.hear("a", Wake.WORK)
    assert await wait == Wake.WORK


async def test_a_wait_that_is_cancelled_leaves_the_place_and_the_hints(latch: Latch) -> None:
    wait = await waiting(latch, "a")
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    latch.hear("a", Wake.WORK)
    assert await latch.wait(["a"], LONG) == Wake.WORK


async def test_when_it_is_closed_every_wait_ends_at_once(latch: Latch) -> None:
    wait = await waiting(latch, "a")
    latch.close()
    assert await wait == Wake.NOTHING
    assert await latch.wait(["b"], LONG) == Wake.NOTHING


def test_a_queue_is_new_once(latch: Latch) -> None:
    assert not latch.begin(["a"])
    assert latch.begin(["a", "c"])
