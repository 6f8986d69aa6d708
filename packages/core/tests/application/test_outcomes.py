"""How runs end: attempts, waits between them, and what a handler may raise."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from packages.core.tests.application.faults import Faulty
from packages.core.tests.application.helpers import within, working
from packages.core.tests.application.stores import Store

from stoker import (
    Backoff,
    Cancel,
    Delays,
    Exponential,
    Fail,
    Fixed,
    JobRun,
    JobState,
    Linear,
    Router,
    Snooze,
    Stoker,
)
from stoker.errors import JobCancelled, JobFailed
from stoker.testing import ManualClock


def seconds_between(times: list[datetime]) -> list[float]:
    """Return the distances of moments, in seconds."""
    return [(b - a).total_seconds() for a, b in itertools.pairwise(times)]


async def run_times(
    store: Store,
    clock: ManualClock,
    *,
    attempts: int,
    backoff: Backoff,
    random: Random | None = None,
) -> list[datetime]:
    """Let a job fail every time; return when its runs were, to the microsecond."""
    times: list[datetime] = []
    router = Router[object]("jobs")

    @router.job(attempts=attempts, backoff=backoff)
    async def job() -> None:
        times.append(clock.now())
        raise ValueError

    async with Stoker(store.url, jobs=[router], clock=clock, random=random) as app:
        handle = await app.schedule(job)
        while await app.run_until_idle():
            record = await handle.record()
            assert record is not None
            if record.state is JobState.SCHEDULED:
                # One microsecond before it is due, nothing runs.
                await clock.set(record.run_at - timedelta(microseconds=1))
                assert await app.run_until_idle() == 0
                await clock.set(record.run_at)
        assert await handle.status() is JobState.FAILED
    return times


async def test_three_attempts_are_three_runs_in_all(store: Store, clock: ManualClock) -> None:
    assert len(await run_times(store, clock, attempts=3, backoff=Fixed(1))) == 3


async def test_a_job_without_options_is_run_once(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")
    runs = 0

    @router.job
    async def job() -> None:
        nonlocal runs
        runs += 1
        raise ValueError

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        await clock.advance(timedelta(days=1))
        await app.run_until_idle()
        assert await handle.status() is JobState.FAILED
    assert runs == 1


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        (Exponential(1.0), [1, 2, 4]),
        (Exponential(3.0, factor=10, cap=100), [3, 30, 100]),
        (Linear(5), [5, 10, 15]),
        (Fixed(7), [7, 7, 7]),
        (Delays(1, 10), [1, 10, 10]),
        (lambda attempt: timedelta(minutes=attempt), [60, 120, 180]),
    ],
    ids=["exponential", "capped", "linear", "fixed", "delays", "function"],
)
async def test_the_waits_between_runs_are_those_of_the_backoff(
    store: Store, clock: ManualClock, backoff: Backoff, waits: list[float]
) -> None:
    times = await run_times(store, clock, attempts=4, backoff=backoff)
    assert seconds_between(times) == waits


async def test_jitter_takes_a_share_of_each_wait_away(store: Store, clock: ManualClock) -> None:
    times = await run_times(
        store, clock, attempts=4, backoff=Exponential(1.0, jitter=0.5), random=Random(7)
    )
    chance = Random(7)
    waits = [wait * (1 - 0.5 * chance.random()) for wait in (1, 2, 4)]
    assert seconds_between(times) == pytest.approx(waits, abs=2e-6)


async def test_a_broken_backoff_does_not_cost_the_job_its_next_attempt(
    store: Store, clock: ManualClock
) -> None:
    def backoff(_: int) -> float:
        raise ZeroDivisionError

    times = await run_times(store, clock, attempts=2, backoff=backoff)
    assert len(times) == 2


async def test_only_the_errors_in_retry_on_are_retried(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")

    @router.job(attempts=3, retry_on=(ConnectionError, TimeoutError))
    async def job(error: str) -> None:
        raise {"reset": ConnectionResetError, "late": TimeoutError, "wrong": ValueError}[error]

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handles = {word: await app.schedule(job, word) for word in ("reset", "late", "wrong")}
        await app.run_until_idle()
        states = {word: await handle.status() for word, handle in handles.items()}
    assert states == {
        "reset": JobState.SCHEDULED,
        "late": JobState.SCHEDULED,
        "wrong": JobState.FAILED,
    }


async def test_the_errors_of_all_attempts_are_kept(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")

    @router.job(attempts=3, backoff=Fixed(0))
    async def job(_: None, __: object, run: JobRun) -> None:
        raise ValueError(f"attempt {run.attempt} failed")

    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        record = await handle.record()
        assert record is not None
        errors = [json.loads(error) for error in record.errors]
        with pytest.raises(JobFailed, match="ValueError: attempt 3 failed"):
            await handle.result()
    assert [error["message"] for error in errors] == [f"attempt {n} failed" for n in (1, 2, 3)]
    assert [error["attempt"] for error in errors] == [1, 2, 3]
    assert "raise ValueError" in errors[0]["traceback"]


async def test_fail_keeps_its_cause_and_gives_up(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")
    runs = 0

    @router.job(attempts=5, backoff=Fixed(0))
    async def job() -> None:
        nonlocal runs
        runs += 1
        try:
            raise KeyError("card")
        except KeyError as error:
            raise Fail("the bank said no") from error

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        with pytest.raises(JobFailed, match="KeyError: 'card'"):
            await handle.result()
    assert runs == 1


async def test_fail_without_a_cause_keeps_its_own_message(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")

    @router.job(attempts=5)
    async def job() -> None:
        raise Fail("the bank said no")

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        with pytest.raises(JobFailed, match="the bank said no"):
            await handle.result()


async def test_snoozes_burn_no_attempt(store: Store, clock: ManualClock) -> None:
    seen: list[tuple[int, int]] = []
    times: list[datetime] = []
    router = Router[object]("jobs")

    @router.job(attempts=1)
    async def job(_: None, __: object, run: JobRun) -> str:
        seen.append((run.attempt, run.snoozes))
        times.append(clock.now())
        if run.snoozes < 3:
            raise Snooze(timedelta(hours=1))
        return "done"

    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        handle = await app.schedule(job)
        for _ in range(4):
            await app.run_until_idle()
            await clock.advance(3600)
        assert await handle.result() == "done"
    assert seen == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert seconds_between(times) == [3600, 3600, 3600]


async def test_a_handler_can_cancel_its_job(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")

    @router.job(attempts=3)
    async def job() -> None:
        raise Cancel("the user is gone")

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        assert await app.run_until_idle() == 1
        with pytest.raises(JobCancelled, match="the user is gone"):
            await handle.result()


async def test_a_reason_that_is_too_long_for_the_store_cancels_all_the_same(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> None:
        raise Cancel("x" * 5_000)

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.status() is JobState.CANCELLED


async def test_a_handler_that_takes_too_long_is_stopped(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")
    stopped = False

    @router.job(timeout=0.02)
    async def job() -> None:
        nonlocal stopped
        try:
            await asyncio.Event().wait()
        finally:
            stopped = True

    async with Stoker(store.url, jobs=[router], clock=clock) as app, within():
        handle = await app.schedule(job)
        await app.run_until_idle()
        with pytest.raises(JobFailed, match=r"timeout of 0.02 s"):
            await handle.result()
    assert stopped


async def test_a_thread_that_takes_too_long_keeps_its_slot_until_it_returns(
    faulty: Faulty,
) -> None:
    router = Router[object]("jobs")
    release = threading.Event()
    failed = asyncio.Event()
    order: list[str] = []

    @router.job(timeout=0.02)
    def slow() -> None:
        release.wait(20)
        order.append("slow returned")

    @router.job
    def next_one() -> None:
        order.append("next started")

    @slow.on_failure
    def tell(*_: object) -> None:
        failed.set()

    async with Stoker(faulty, jobs=[router]) as app, within():
        await app.schedule(slow)
        async with working(app, concurrency=1, lease=0.6):
            await failed.wait()
            waiting = await app.schedule(next_one)
            claims = faulty.calls["claim"]
            # Several rounds of the worker's other services: time enough for a wrong claim.
            await faulty.called("reap", 2)
            assert (faulty.calls["claim"], order) == (claims, [])
            release.set()
            await waiting.result()
    assert order == ["slow returned", "next started"]


async def test_a_job_that_has_expired_is_cancelled_and_not_run(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")
    runs: list[str] = []

    @router.job(expires=60)
    async def job(which: str) -> None:
        runs.append(which)

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handles = [
            await app.schedule(job, "late"),
            await app.schedule(job, "delayed", delay=1),
            await app.schedule(job, "own", expires=clock.now() + timedelta(hours=1)),
            await app.schedule(job, "never", expires=None),
        ]
        await clock.advance(61)
        await app.run_until_idle()
        assert [await handle.status() for handle in handles] == [
            JobState.CANCELLED,
            JobState.COMPLETED,  # its minute began when it was due
            JobState.COMPLETED,
            JobState.COMPLETED,
        ]
        with pytest.raises(JobCancelled, match="expired"):
            await handles[0].result()
    assert sorted(runs) == ["delayed", "never", "own"]


async def test_a_result_that_cannot_be_written_fails_the_job_at_once(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job(attempts=5)
    async def job() -> Any:
        return object()

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        assert await app.run_until_idle() == 1
        with pytest.raises(JobFailed, match="returned a object that cannot be written as JSON"):
            await handle.result()


async def test_a_result_that_is_not_what_was_annotated_fails_the_job_at_once(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job(attempts=5)
    async def job() -> int:
        return "seven"  # type: ignore[return-value]

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        assert await app.run_until_idle() == 1
        with pytest.raises(JobFailed, match="UnserializableResult"):
            await handle.result()


async def test_none_in_place_of_an_annotated_result_fails_the_job_at_once(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job(attempts=5)
    async def job() -> int:
        return None  # type: ignore[return-value]

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        assert await app.run_until_idle() == 1
        with pytest.raises(JobFailed, match="UnserializableResult"):
            await handle.result()


async def test_a_result_that_is_too_large_fails_the_job_at_once(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job(attempts=5)
    async def job() -> str:
        return "x" * 2_000_000

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        assert await app.run_until_idle() == 1
        with pytest.raises(JobFailed, match=r"returned 2,000,002 bytes.* at most 1,048,576"):
            await handle.result()


class Unspeakable(Exception):
    """An error that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def raise_unspeakable() -> None:
    raise Unspeakable


def raise_cancelled() -> None:
    raise asyncio.CancelledError


def raise_system_exit() -> None:
    raise SystemExit(1)


def raise_stop_iteration() -> None:
    raise StopIteration


def raise_surrogate() -> None:
    raise ValueError("\ud800\0")


def raise_endless() -> None:
    raise ValueError("\N{GRINNING FACE}" * 100_000)


class Quit(BaseException):
    """An error that is no `Exception`."""


def raise_quit() -> None:
    raise Quit


@pytest.mark.parametrize(
    "misbehave",
    [
        raise_unspeakable,
        raise_cancelled,
        raise_system_exit,
        raise_stop_iteration,
        raise_surrogate,
        raise_endless,
        raise_quit,
    ],
)
@pytest.mark.parametrize("kind", ["async", "def"])
async def test_whatever_a_handler_raises_costs_one_attempt_and_no_other_job(
    store: Store, clock: ManualClock, kind: str, misbehave: Callable[[], None]
) -> None:
    router = Router[object]("jobs")

    async def async_handler() -> None:
        misbehave()

    bad = router.job(name="bad")(async_handler if kind == "async" else misbehave)

    @router.job
    async def good() -> int:
        return 7

    async with Stoker(store.url, jobs=[router], clock=clock) as app, within():
        bad_handle, good_handle = await app.schedule(bad), await app.schedule(good)
        await app.run_until_idle()
        assert await bad_handle.status() is JobState.FAILED
        assert await good_handle.result() == 7
