"""Threads for `def` handlers."""

import asyncio
import threading

import pytest
from packages.core.tests.support import soon

from stoker.worker.threads import HandlerThreads


async def test_calls_run_side_by_side_up_to_the_number_of_threads_and_the_others_wait() -> None:
    threads = HandlerThreads(2)
    together, third = threading.Barrier(3), threading.Event()

    def meet() -> None:
        together.wait(10)

    calls = [asyncio.wrap_future(threads.submit(meet)) for _ in range(2)]
    waiting = threads.submit(third.set)
    assert not third.is_set()
    together.wait(10)
    await soon(asyncio.gather(*calls, asyncio.wrap_future(waiting)))
    assert third.is_set()
    threads.close()


async def test_an_idle_thread_is_used_again() -> None:
    threads = HandlerThreads(5)
    names = set()
    for _ in range(20):
        names.add(await soon(asyncio.wrap_future(threads.submit(_name))))
        await _until_idle(threads)
    assert names == {"stoker-job-1"}
    threads.close()


async def test_threads_do_not_keep_the_process_and_end_when_they_are_closed() -> None:
    threads = HandlerThreads(1)
    thread = await soon(asyncio.wrap_future(threads.submit(threading.current_thread)))
    assert thread.daemon
    threads.close()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
async def test_what_a_call_raises_reaches_who_waits_and_the_thread_goes_on(
    error: BaseException,
) -> None:
    threads = HandlerThreads(1)

    def fail() -> None:
        raise error

    caught = await asyncio.to_thread(threads.submit(fail).exception, 10)
    assert caught is error
    assert await soon(asyncio.wrap_future(threads.submit(_name))) == "stoker-job-1"
    threads.close()


def _name() -> str:
    return threading.current_thread().name


async def _until_idle(threads: HandlerThreads) -> None:
    # The answer comes a moment before the thread counts as idle.
    def wait() -> None:
        threads._idle.acquire(timeout=10)
        threads._idle.release()

    await asyncio.to_thread(wait)
