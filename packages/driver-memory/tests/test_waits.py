"""Waits of this driver: latched hints, cancelled waits, closed clients, dropped loops."""

import asyncio
from datetime import timedelta

import pytest

from stoker.driver import After, JobKey, NewJob, Wake, Want
from stoker.errors import DriverClosed, InvalidInput
from stoker_memory import MemoryDriver
from stoker_memory._hints import Hints, Waiter

QUEUE, OTHER = "mails", "reports"
LONG, NOT_AT_ALL = timedelta(seconds=60), timedelta(0)


async def put(driver: MemoryDriver, name: str, queue: str = QUEUE) -> None:
    await driver.enqueue([NewJob(JobKey(queue, name), "mails.send")])


async def asleep(driver: MemoryDriver, *queues: str) -> "asyncio.Task[Wake]":
    """Start a wait, and return once it sleeps."""
    wait = asyncio.ensure_future(driver.wait(queues, LONG))
    await asyncio.sleep(0)
    assert not wait.done()
    return wait


@pytest.fixture
async def waiting(driver: MemoryDriver) -> MemoryDriver:
    """A client that has had its first wait, which returns at once."""
    assert await driver.wait([QUEUE, OTHER], LONG) == Wake.WORK
    return driver


async def test_the_first_wait_for_each_queue_returns_at_once(driver: MemoryDriver) -> None:
    assert await driver.wait([QUEUE], LONG) == Wake.WORK
    assert await driver.wait([QUEUE, OTHER], LONG) == Wake.WORK
    assert await driver.wait([QUEUE, OTHER], NOT_AT_ALL) == Wake.NOTHING


async def test_a_hint_between_two_waits_ends_the_next_once(waiting: MemoryDriver) -> None:
    await put(waiting, "one")
    await put(waiting, "two")

    assert await waiting.wait([QUEUE], LONG) == Wake.WORK
    assert await waiting.wait([QUEUE], NOT_AT_ALL) == Wake.NOTHING


async def test_a_hint_for_another_queue_is_kept_until_it_is_asked_for(
    waiting: MemoryDriver,
) -> None:
    wait = await asleep(waiting, QUEUE)
    await put(waiting, "one", OTHER)
    await asyncio.sleep(0)
    assert not wait.done()

    await put(waiting, "two", QUEUE)
    assert await wait == Wake.WORK
    assert await waiting.wait([OTHER], LONG) == Wake.WORK


async def test_work_and_cancel_are_told_apart_and_together(waiting: MemoryDriver) -> None:
    await put(waiting, "one")
    await waiting.claim([Want(QUEUE, 1)], worker="w", lease=LONG)
    assert await waiting.wait([QUEUE], LONG) == Wake.WORK

    await waiting.cancel([JobKey(QUEUE, "one")], reason="no more")
    assert await waiting.wait([QUEUE], LONG) == Wake.CANCEL

    await waiting.cancel([JobKey(QUEUE, "one")], reason="no more")
    await put(waiting, "two")
    assert await waiting.wait([QUEUE], LONG) == Wake.WORK | Wake.CANCEL


async def test_a_hint_reaches_every_waiting_client(waiting: MemoryDriver) -> None:
    twin = waiting.clone()
    await twin.open()
    await twin.wait([QUEUE], LONG)
    waits = [await asleep(client, QUEUE) for client in (waiting, twin)]

    await put(waiting, "one")

    assert await asyncio.gather(*waits) == [Wake.WORK, Wake.WORK]
    await twin.close()


async def test_a_paused_queue_hints_only_when_it_is_resumed(waiting: MemoryDriver) -> None:
    await waiting.pause(QUEUE, True)
    await put(waiting, "one")
    await waiting.enqueue([NewJob(JobKey(QUEUE, "two"), "mails.send", run_at=After(LONG))])
    assert await waiting.wait([QUEUE], NOT_AT_ALL) == Wake.NOTHING

    await waiting.pause(QUEUE, False)
    assert await waiting.wait([QUEUE], LONG) == Wake.WORK


async def test_a_cancelled_wait_loses_no_hint_and_leaves_the_client_usable(
    waiting: MemoryDriver,
) -> None:
    wait = await asleep(waiting, QUEUE)

    await put(waiting, "one")
    wait.cancel()  # the hint has come, but the task has not run since

    with pytest.raises(asyncio.CancelledError):
        await wait
    assert await waiting.wait([QUEUE], LONG) == Wake.WORK


async def test_a_second_wait_beside_the_first_is_refused(waiting: MemoryDriver) -> None:
    wait = await asleep(waiting, QUEUE)

    with pytest.raises(InvalidInput, match="one waiter at a time"):
        await waiting.wait([QUEUE], LONG)

    await put(waiting, "one")
    assert await wait == Wake.WORK


async def test_close_ends_a_wait(waiting: MemoryDriver) -> None:
    wait = await asleep(waiting, QUEUE)

    await waiting.close()

    assert await wait == Wake.NOTHING
    with pytest.raises(DriverClosed):
        await waiting.wait([QUEUE], LONG)


async def test_a_closed_client_is_forgotten(waiting: MemoryDriver) -> None:
    await waiting.close()
    assert not waiting._store.hints._waiters

    await waiting.open()
    assert await waiting.wait([QUEUE], LONG) == Wake.WORK


def test_a_client_that_was_dropped_asleep_does_not_disturb_the_others() -> None:
    hints, dropped = Hints(), Waiter()

    async def fall_asleep() -> None:
        hints.subscribe(dropped, [QUEUE])
        dropped.take([QUEUE])
        alarm = dropped.sleep([QUEUE])
        assert not alarm.done()

    asyncio.run(fall_asleep())  # and its loop is closed

    hints.tell(QUEUE, Wake.WORK)

    assert dropped.take([QUEUE]) == Wake.WORK
