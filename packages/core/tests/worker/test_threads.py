"""Threads for `def` handlers: bounded, reused, and never in the way of the end of the process."""

import threading

import pytest

from stoker.worker.threads import HandlerThreads


def test_a_call_brings_its_result_or_its_error() -> None:
    threads = HandlerThreads(1)
    assert threads.submit(lambda number: number + 1, 1).result(5) == 2
    with pytest.raises(SystemExit):
        threads.submit(_quit).result(5)
    assert threads.submit(lambda: "still there").result(5) == "still there"
    threads.close()


def test_an_idle_thread_is_used_before_another_one_is_started() -> None:
    threads = HandlerThreads(10)
    names = set()
    for _ in range(50):
        names.add(threads.submit(lambda: threading.current_thread().name).result(5))
        # The thread says that it is idle just after the result is there.
        assert threads._idle.acquire(timeout=5)
        threads._idle.release()
    assert len(names) == 1
    threads.close()


def test_as_many_calls_run_at_a_time_as_there_may_be_threads() -> None:
    threads = HandlerThreads(3)
    together = threading.Barrier(3)
    calls = [threads.submit(together.wait, 5) for _ in range(3)]
    assert sorted(call.result(5) for call in calls) == [0, 1, 2]
    assert threads._started == 3
    threads.close()


def test_more_calls_than_threads_wait_for_their_turn() -> None:
    threads = HandlerThreads(1)
    go = threading.Event()
    first = threads.submit(go.wait, 5)
    second = threads.submit(lambda: "after")
    assert not second.done()
    go.set()
    assert first.result(5)
    assert second.result(5) == "after"
    threads.close()


def test_threads_are_daemons_which_the_interpreter_does_not_wait_for() -> None:
    threads = HandlerThreads(1)
    assert threads.submit(lambda: threading.current_thread().daemon).result(5)
    threads.close()


def _quit() -> None:
    raise SystemExit
