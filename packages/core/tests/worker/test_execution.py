"""One run, without a worker around it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, entry_of, make_lease, make_site, soon, turns

from stoker import Router
from stoker.driver import Fail, Release, Retry
from stoker.worker.ending import Ending
from stoker.worker.execution import Execution, Interrupt
from stoker.worker.held import HeldLeases
from stoker.worker.threads import HandlerThreads

Make = Callable[..., Execution]


class Strange(BaseException):
    """What a library raises that does not mean to be caught."""


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    threads = HandlerThreads(2)

    def execution(handler: Callable[[], Any], **lease: Any) -> Execution:
        router = Router[object]("r")
        router.job(name="job")(handler)
        return Execution(
            make_lease(**lease),
            entry_of(router),
            make_site(SpyDriver(), [router]),
            HeldLeases(),
            threads,
            asyncio.get_running_loop(),
        )

    yield execution
    threads.close()


def raising(error: BaseException, *, threaded: bool) -> Callable[[], Any]:
    def handler() -> None:
        raise error

    async def asynchronous() -> None:
        raise error

    return handler if threaded else asynchronous


@pytest.mark.parametrize("threaded", [False, True])
@pytest.mark.parametrize(
    "error",
    [SystemExit(3), Strange(), BaseExceptionGroup("several", [Strange()])],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_handler_raises_fails_its_run(
    make: Make, error: BaseException, threaded: bool
) -> None:
    ending = await soon(make(raising(error, threaded=threaded)).perform())
    assert isinstance(ending, Ending)
    assert isinstance(ending.outcome, Fail)
    assert ending.detail is error


async def test_a_handler_that_cancels_itself_is_retried_like_after_any_error(make: Make) -> None:
    ending = await soon(make(raising(asyncio.CancelledError(), threaded=False)).perform())
    assert ending is not None
    assert isinstance(ending.outcome, Retry)


async def test_what_ends_the_whole_process_is_passed_on(make: Make) -> None:
    with pytest.raises(KeyboardInterrupt):
        await make(raising(KeyboardInterrupt(), threaded=False)).perform()


async def test_a_handler_that_raises_generator_exit_is_retried_or_fails_like_any(
    make: Make,
) -> None:
    ending = await soon(make(raising(GeneratorExit(), threaded=False)).perform())
    assert ending is not None
    assert isinstance(ending.outcome, Fail)


async def test_a_handler_whose_task_its_own_code_cancels_uses_up_an_attempt(make: Make) -> None:
    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    ending = await soon(asyncio.create_task(make(handler).perform()))
    assert ending is not None
    assert isinstance(ending.outcome, Retry)


@pytest.mark.parametrize("reason", [Interrupt.SHUTDOWN, Interrupt.LOST])
async def test_a_thread_is_left_behind_at_once_and_its_run_is_not_settled(
    make: Make, reason: Interrupt
) -> None:
    started, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def handler() -> None:
        loop.call_soon_threadsafe(started.set)
        go.wait(20)

    execution = make(handler)
    task = asyncio.create_task(execution.perform())
    try:
        await soon(started.wait())
        execution.interrupt(reason)
        assert await soon(task) is None
        assert execution.in_thread
    finally:
        go.set()


async def test_a_thread_is_not_left_behind_for_a_cancel(make: Make) -> None:
    started, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def handler() -> str:
        loop.call_soon_threadsafe(started.set)
        go.wait(20)
        return "done"

    execution = make(handler)
    task = asyncio.create_task(execution.perform())
    try:
        await soon(started.wait())
        execution.request_cancel("enough")
        await turns()
        assert not task.done()
    finally:
        go.set()
    ending = await soon(task)
    assert ending.detail == "done"
    assert not execution.in_thread


async def test_a_run_that_is_shut_down_in_its_coroutine_is_given_back(make: Make) -> None:
    started = asyncio.Event()

    async def handler() -> None:
        started.set()
        await asyncio.Event().wait()

    execution = make(handler, timeout=timedelta(hours=1))
    task = asyncio.create_task(execution.perform())
    await soon(started.wait())
    execution.interrupt(Interrupt.SHUTDOWN)
    ending = await soon(task)
    assert isinstance(ending.outcome, Release)
