"""What the documentation promises exactly, as far as it is the core's to keep."""

import asyncio
import logging
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, soon

from stoker import (
    Exponential,
    Fixed,
    JobOptions,
    JobRun,
    JobState,
    Router,
    Stoker,
    Unique,
    WorkerOptions,
    jobs,
)
from stoker.errors import JobFailed
from stoker.router.options import DEFAULTS
from stoker.router.scheduling import Scheduling
from stoker.testing import ManualClock


async def waits_between_runs(clock: ManualClock, app: Stoker[Any], job: Any) -> list[float]:
    """Run a job until it has ended; return the waits before its runs."""
    handle = await app.schedule(job)
    waits: list[float] = []
    while True:
        await app.run_until_idle()
        record = await handle.record()
        assert record is not None
        if record.is_terminal:
            return waits
        waits.append((record.run_at - clock.now()).total_seconds())
        await clock.set(record.run_at)


async def test_three_attempts_are_three_runs_in_all(clock: ManualClock) -> None:
    router = Router[object]("r")
    runs: list[tuple[int, bool]] = []

    @router.job(attempts=3)
    async def job(payload: None, context: object, run: JobRun) -> None:
        runs.append((run.attempt, run.is_final_attempt))
        raise ValueError

    async with Stoker("memory://", jobs=[router], clock=clock, context=None) as app:
        await waits_between_runs(clock, app, job)
    assert runs == [(1, False), (2, False), (3, True)]


async def test_exponential_1_waits_1_2_4_seconds_before_the_second_third_and_fourth_run(
    clock: ManualClock,
) -> None:
    router = Router[object]("r")

    @router.job(attempts=4, backoff=Exponential(1.0))
    async def job() -> None:
        raise ValueError

    async with Stoker("memory://", jobs=[router], clock=clock) as app:
        assert await waits_between_runs(clock, app, job) == [1, 2, 4]


async def test_with_jitter_the_waits_are_those_of_the_apps_random(clock: ManualClock) -> None:
    router = Router[object]("r")

    @router.job(attempts=4, backoff=Exponential(1.0, jitter=0.5))
    async def job() -> None:
        raise ValueError

    async with Stoker("memory://", jobs=[router], clock=clock, random=Random(42)) as app:
        waits = await waits_between_runs(clock, app, job)
    chance = Random(42)
    assert waits == pytest.approx(
        [base - base * 0.5 * chance.random() for base in (1, 2, 4)], abs=1e-5
    )


async def test_what_is_fixed_when_scheduled_does_not_change_with_the_code_that_runs(
    driver: SpyDriver, clock: ManualClock
) -> None:
    def app_with(**options: Any) -> tuple[Stoker, Any]:
        router = Router[object]("r", **options)

        @router.job
        async def job() -> None:
            raise KeyError

        return Stoker(driver, jobs=[router], clock=clock), job

    old, job = app_with(attempts=3, timeout=9, priority=7, backoff=Fixed(1), retry_on=ValueError)
    async with old:
        handle = await old.schedule(job)
    new, job = app_with(attempts=1, timeout=1, priority=1, backoff=Fixed(50), retry_on=KeyError)
    async with new:
        await new.run_until_idle()
        record = await new.get(handle.id)
        assert record is not None
        # Attempts, timeout and priority are the old ones; backoff and retry_on those that ran.
        assert (record.max_attempts, record.timeout, record.priority) == (
            3,
            timedelta(seconds=9),
            7,
        )
        assert record.state is JobState.SCHEDULED
        assert record.run_at == clock.now() + timedelta(seconds=50)


async def test_hooks_come_from_the_code_that_runs(driver: SpyDriver) -> None:
    heard: list[str] = []

    def app_with(name: str) -> tuple[Stoker, Any]:
        router = Router[object]("r")

        @router.job
        async def job() -> None: ...

        @router.on_complete
        def done(run: JobRun) -> None:
            heard.append(name)

        return Stoker(driver, jobs=[router]), job

    old, job = app_with("old")
    async with old:
        await old.schedule(job)
    new, _ = app_with("new")
    async with new:
        await new.run_until_idle()
    assert heard == ["new"]


EFFECTS: dict[str, Any] = {
    "attempts": 2,
    "backoff": Fixed(77),
    "retry_on": KeyError,
    "timeout": 0.01,
    "expires": 5,
    "priority": 9,
    "queue": "other",
    "max_crashes": 0,
    "keep_completed": False,
    "keep_failed": False,
    "keep_cancelled": False,
    "unique": Unique("k"),
    "tags": ["a"],
    "metadata": {"k": "v"},
}


async def observe(options: dict[str, Any]) -> list[object]:
    """What can be seen of jobs with these options: stored, run, cancelled, scheduled twice."""
    clock = ManualClock()
    router = Router[object]("r", **options)

    @router.job
    async def fine() -> None: ...

    @router.job(attempts=options.get("attempts", 3))
    async def failing() -> None:
        raise ValueError

    @router.job
    async def slow() -> None:
        await asyncio.sleep(0.05)

    seen: list[object] = []
    async with Stoker("memory://", jobs=[router], clock=clock, random=Random(1)) as app:
        handles = [await app.schedule(job) for job in (fine, failing, slow)]
        twice = await app.schedule(fine)
        waiting = await app.schedule(fine, delay=60)
        record = await handles[0].record()
        assert record is not None
        seen += [
            record.max_attempts,
            record.timeout,
            record.expires,
            record.priority,
            record.key.queue,
            record.max_crashes,
            record.tags,
            record.metadata,
            twice.created,
        ]
        await waiting.cancel()
        await app.run_until_idle()
        for handle in [*handles, waiting]:
            after = await handle.record()
            seen.append(after and (after.state, after.run_at))
    return seen


async def test_no_option_is_accepted_and_ignored() -> None:
    assert EFFECTS.keys() == DEFAULTS.keys() == JobOptions.__optional_keys__
    plain = await observe({})
    assert await observe({}) == plain
    without_effect = [
        name for name, value in EFFECTS.items() if await observe({name: value}) == plain
    ]
    # A failed record shows only with one attempt.
    assert without_effect == ["keep_failed"]
    once = {"attempts": 1}
    assert await observe({**once, "keep_failed": False}) != await observe(once)


async def test_a_result_error_names_the_state_and_carries_the_record() -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> None:
        raise ValueError("because")

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        with pytest.raises(JobFailed, match="failed: ValueError: because") as caught:
            await handle.result(1)
        assert caught.value.record.errors


async def test_memory_without_a_name_is_private_and_with_a_name_shared_in_the_process() -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> None: ...

    async def left_by(url: str) -> list[str]:
        async with Stoker(url, jobs=[router]) as app:
            await app.schedule(job)
        async with Stoker(url, jobs=[router]) as app:
            return await app.queues()

    assert await left_by("memory://") == []
    assert await left_by("memory://exactly") == ["default"]


async def test_run_worker_never_also_starts_the_autostarted_worker(driver: SpyDriver) -> None:
    router = Router[object]("r")
    stop = asyncio.Event()
    alive: list[int] = []

    @router.job
    async def job() -> None:
        alive.append(len(await driver.workers()))
        stop.set()

    app = Stoker(driver, jobs=[router], autostart_worker=WorkerOptions())
    async with Stoker(driver, jobs=[router]) as scheduling:
        await scheduling.schedule(job)
    await soon(app.run_worker(stop=stop))
    assert alive == [1]


def test_the_key_of_merge_wins_over_the_namespace() -> None:
    app = Stoker("memory://", jobs=jobs.merge({"mail": Router("emails")}))
    assert list(app.jobs) == ["mail"]


async def test_an_app_is_what_a_run_calls_scheduling() -> None:
    app: Scheduling = Stoker("memory://", jobs=[])
    assert isinstance(app, Stoker)
    router = Router[object]("r")

    @router.job
    async def first(payload: None, context: object, run: JobRun) -> str:
        handle = await run.app.schedule(second, 3)
        (many,) = await run.app.schedule_many([second.call(4)])
        assert await handle.status() is JobState.READY
        return f"{handle.name} {many.queue}"

    @router.job
    async def second(payload: int) -> int:
        return payload

    async with Stoker("memory://", jobs=[router], context=None, prefix="p") as real:
        handle = await real.schedule(first)
        assert await real.run_until_idle() == 3
        assert await handle.result(1) == "r.second default"


async def test_payloads_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    router = Router[object]("r", attempts=2, backoff=Fixed(0))

    @router.job
    async def job(payload: str) -> None:
        raise ValueError("no")

    with caplog.at_level(logging.DEBUG, "stoker"):
        options = WorkerOptions(debug=True)
        async with Stoker("memory://", jobs=[router], autostart_worker=options) as app:
            handle = await app.schedule(job, "a secret")
            with pytest.raises(JobFailed):
                await handle.result(10)
    assert caplog.records
    assert "a secret" not in caplog.text
    assert "a secret" not in repr(handle)
