"""What becomes of a run, case by case."""

import asyncio
import json
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, soon

from stoker import (
    Cancel,
    Capability,
    Fail,
    Fixed,
    JobRun,
    JobState,
    Router,
    Snooze,
    Stoker,
    WorkerOptions,
)
from stoker.driver import JobKey, JobRecord, NewJob, Want
from stoker.testing import ManualClock
from stoker.worker.failure import JobTimeout, WorkerLost

EVENTS = ("on_start", "on_success", "on_failure", "on_retry", "on_complete")


def told(router: Router[Any]) -> list[str]:
    """Note which hooks are called, in order."""
    heard: list[str] = []

    def hook(event: str) -> Any:
        def one(job: JobRun) -> None:
            heard.append(event)

        def two(job: JobRun, detail: object) -> None:
            heard.append(event)

        return one if event in ("on_start", "on_complete") else two

    for event in EVENTS:
        getattr(router, event)(hook(event))
    return heard


OUTCOMES: list[tuple[Any, int, JobState, list[str]]] = [
    (None, 1, JobState.COMPLETED, ["on_start", "on_success", "on_complete"]),
    (ValueError("no"), 2, JobState.SCHEDULED, ["on_start", "on_retry"]),
    (ValueError("no"), 1, JobState.FAILED, ["on_start", "on_failure", "on_complete"]),
    (Fail("no"), 9, JobState.FAILED, ["on_start", "on_failure", "on_complete"]),
    (Cancel("no"), 9, JobState.CANCELLED, ["on_start", "on_complete"]),
    (Snooze(60), 1, JobState.SCHEDULED, ["on_start"]),
]


@pytest.mark.parametrize(("raises", "attempts", "state", "hooks"), OUTCOMES)
@pytest.mark.parametrize("threaded", [False, True])
async def test_the_hooks_follow_the_state_that_came_back(
    raises: BaseException | None,
    attempts: int,
    state: JobState,
    hooks: list[str],
    threaded: bool,
    clock: ManualClock,
) -> None:
    router = Router[object]("r", attempts=attempts, backoff=Fixed(60))

    def handler() -> None:
        if raises is not None:
            raise raises

    async def asynchronous() -> None:
        handler()

    heard = told(router)
    job = router.job(name="job")(handler) if threaded else router.job(name="job")(asynchronous)
    async with Stoker("memory://", jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.status() is state
    assert heard == hooks


async def record_of(app: Stoker[Any], job_id: str, queue: str = "default") -> JobRecord:
    record = await app.get(job_id, queue=queue)
    assert record is not None
    return record


async def test_an_expired_job_is_cancelled_without_a_run(clock: ManualClock) -> None:
    router = Router[object]("r")
    heard = told(router)

    @router.job(expires=10)
    async def job() -> None:
        heard.append("ran")

    async with Stoker("memory://", jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await clock.advance(11)
        await app.run_until_idle()
        record = await record_of(app, handle.id)
        assert (record.state, record.cancel_reason) == (JobState.CANCELLED, "expired")
    assert heard == ["on_complete"]


async def test_a_job_that_is_claimed_at_its_very_expiry_still_runs(clock: ManualClock) -> None:
    router = Router[object]("r")

    @router.job(expires=10)
    async def job() -> int:
        return 1

    async with Stoker("memory://", jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await clock.advance(10)
        await app.run_until_idle()
        assert await handle.result(1) == 1


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_run_that_takes_longer_than_its_timeout_failed(threaded: bool) -> None:
    router = Router[object]("r", timeout=0.02)
    errors: list[BaseException] = []
    go = threading.Event()
    cleaned: list[str] = []

    async def asynchronous() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("cleaned")

    def blocking() -> None:
        go.wait(10)

    job = router.job(name="job")(blocking) if threaded else router.job(name="job")(asynchronous)

    @router.on_failure
    def failed(run: JobRun, error: BaseException) -> None:
        errors.append(error)

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        go.set()
        record = await record_of(app, handle.id)
        assert record.state is JobState.FAILED
        details = json.loads(record.errors[-1])
        assert details["message"] == "r.job took longer than its timeout of 0.02 s"
    assert [type(error) for error in errors] == [JobTimeout]
    assert cleaned == ([] if threaded else ["cleaned"])


async def test_a_handler_that_finishes_in_spite_of_its_timeout_has_finished() -> None:
    router = Router[object]("r", timeout=0.02)

    @router.job
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "finished"
        return ""

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(stubborn)
        await app.run_until_idle()
        assert await handle.result(1) == "finished"


async def test_a_result_that_cannot_be_stored_fails_at_once_and_is_not_repeated(
    clock: ManualClock,
) -> None:
    router = Router[object]("r", attempts=5)
    runs: list[int] = []

    @router.job
    async def opaque() -> object:
        runs.append(1)
        return object()

    @router.job
    async def huge() -> str:
        runs.append(2)
        return "x" * 2_000_000

    async with Stoker("memory://", jobs=[router], clock=clock) as app:
        handles = [await app.schedule(opaque), await app.schedule(huge)]
        await app.run_until_idle()
        await clock.advance(timedelta(days=1))
        await app.run_until_idle()
        messages = []
        for handle in handles:
            record = await record_of(app, handle.id)
            assert record.state is JobState.FAILED
            messages.append(json.loads(record.errors[-1])["message"])
    assert "cannot be written as JSON" in messages[0]
    assert (
        "memory keeps at most 1,048,576: store it elsewhere and return a reference" in messages[1]
    )
    assert sorted(runs) == [1, 2]


async def test_a_job_whose_name_nobody_knows_is_put_back_and_fails_in_the_end_with_the_reason(
    driver: SpyDriver, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    router = Router[object]("r")
    key = JobKey("default", "1")
    async with Stoker(driver, jobs=[router], clock=clock) as app:
        await driver.enqueue([NewJob(key, "r.gone")], now=clock.now())
        start, looks = clock.now(), 0
        while (await record_of(app, "1")).state is not JobState.FAILED:
            await app.run_until_idle()
            record = await record_of(app, "1")
            looks += 1
            assert record.attempt <= 1
            if record.state is JobState.SCHEDULED:
                assert record.run_at > clock.now()
                assert record.parked_since == start
                await clock.set(record.run_at)
        assert clock.now() - start >= timedelta(minutes=15)
        assert looks < 40
        record = await record_of(app, "1")
        assert b"no job 'r.gone' in the code of this worker; deploy code" in record.errors[-1]
    assert "job 1 is put back" in caplog.text


async def test_a_payload_that_no_longer_validates_is_put_back_and_runs_with_code_that_reads_it(
    driver: SpyDriver, clock: ManualClock
) -> None:
    def app_with(annotation: Any) -> tuple[Stoker, Any]:
        router = Router[object]("r")

        @router.job
        async def job(payload: annotation) -> object:
            return payload

        return Stoker(driver, jobs=[router], clock=clock), job

    old, job = app_with(str)
    async with old:
        handle = await old.schedule(job, "text")
    new, _ = app_with(int)
    async with new:
        await new.run_until_idle()
        record = await record_of(new, handle.id)
        assert (record.state, record.attempt) == (JobState.SCHEDULED, 0)
    await clock.advance(10)
    fixed, job = app_with(str)
    async with fixed:
        await fixed.run_until_idle()
        assert await fixed.handle(job, handle.id).result(1) == "text"


async def test_a_job_whose_worker_disappeared_too_often_fails_and_its_hooks_hear_it_once(
    driver: SpyDriver, clock: ManualClock
) -> None:
    router = Router[object]("r")
    errors: list[tuple[BaseException, object]] = []

    @router.job(max_crashes=1)
    async def job(payload: int) -> None: ...

    @router.on_failure
    def failed(run: JobRun, error: BaseException) -> None:
        errors.append((error, run.payload))

    async with Stoker(driver, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job, 7)
        for _ in range(2):
            claimed = await driver.claim(
                [Want("default", 1)], worker="dead", lease=timedelta(seconds=1), now=clock.now()
            )
            assert len(claimed.leases) == 1
            await clock.advance(1)
            if _ == 0:
                await driver.reap(
                    ["default"], limit=1, delay=timedelta(0), error=b'"x"', now=clock.now()
                )
        await app.run_until_idle()
        assert await handle.status() is JobState.FAILED
    ((error, payload),) = errors
    assert isinstance(error, WorkerLost)
    assert str(error) == "worker dead disappeared while it ran r.job, crash 2 of this job"
    assert payload == 7


async def test_without_results_nothing_is_reported_and_jobs_run_all_the_same() -> None:
    driver = SpyDriver(without=[Capability.RESULTS])
    router = Router[object]("r")

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        await run.progress(50)
        run.log("an entry")

    async with Stoker(driver, jobs=[router], context=None) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        record = await record_of(app, handle.id)
        assert (record.state, record.progress, record.logs) == (JobState.COMPLETED, None, ())


async def test_progress_and_logs_of_a_run_are_stored_with_its_end_at_the_latest() -> None:
    router = Router[object]("r")

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        run.log("sent", to="7", parts=[1, 2])
        run.log("odd", thing=object)
        run.log("x" * 20_000)
        await run.progress(99.5, "nearly")

    async with Stoker("memory://", jobs=[router], context=None) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        record = await record_of(app, handle.id)
    assert json.loads(record.progress or b"") == {"percent": 99.5, "message": "nearly"}
    sent, odd, cut = (json.loads(entry) for entry in record.logs)
    assert (sent["message"], sent["to"], sent["parts"]) == ("sent", "7", [1, 2])
    assert odd["thing"] == str(object)
    assert cut["cut"] is True
    assert all("at" in entry for entry in (sent, odd, cut))


async def test_a_def_handler_runs_in_a_thread_with_the_context_variables_and_may_report() -> None:
    router = Router[object]("r")
    threads: list[str] = []

    @router.job
    def job(payload: int, context: object, run: JobRun) -> int:
        threads.append(threading.current_thread().name)
        _ = run.progress(10)
        run.log("from a thread")
        return payload + 1

    async with Stoker("memory://", jobs=[router], context=None) as app:
        handle = await app.schedule(job, 1)
        await app.run_until_idle()
        assert await handle.result(1) == 2
        record = await record_of(app, handle.id)
        assert record.progress is not None
        assert len(record.logs) == 1
    assert threads[0].startswith("stoker-job")


async def test_a_def_handler_that_returns_a_coroutine_has_it_awaited() -> None:
    router = Router[object]("r")

    async def inner() -> int:
        return 3

    @router.job
    def job() -> Any:
        return inner()

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.result(1) == 3


async def test_a_def_handler_that_raises_stop_iteration_fails_like_any_other() -> None:
    router = Router[object]("r")

    @router.job
    def job() -> None:
        next(iter(()))

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(job)
        await soon(app.run_until_idle())
        assert await handle.status() is JobState.FAILED


async def test_a_requested_cancel_stops_a_running_handler_and_its_reason_is_kept() -> None:
    router = Router[object]("r")
    started = asyncio.Event()
    heard = told(router)
    done = asyncio.Event()

    @router.job
    async def endless() -> None:
        started.set()
        await asyncio.Event().wait()

    @router.on_complete
    def completed(run: JobRun) -> None:
        heard.append(f"requested: {run.cancel_requested}")
        done.set()

    async with Stoker("memory://", jobs=[router], autostart_worker=True) as app:
        handle = await app.schedule(endless)
        await soon(started.wait())
        await handle.cancel("enough")
        await soon(done.wait())
        record = await record_of(app, handle.id)
        assert (record.state, record.cancel_reason) == (JobState.CANCELLED, "enough")
    assert heard == ["on_start", "on_complete", "requested: True"]


async def test_a_def_handler_sees_that_its_cancel_was_requested() -> None:
    router = Router[object]("r")
    started = threading.Event()
    seen: list[bool] = []

    @router.job
    def patient(payload: None, context: object, run: JobRun) -> str:
        started.set()
        for _ in range(1000):
            if run.cancel_requested:
                break
            threading.Event().wait(0.01)
        seen.append(run.cancel_requested)
        raise Cancel("stopped in time")

    app = Stoker("memory://", jobs=[router], context=None, autostart_worker=True)
    async with app:
        handle = await app.schedule(patient)
        await soon(asyncio.to_thread(started.wait, 10))
        await handle.cancel("enough")
        with pytest.raises(Exception, match="was cancelled"):
            await handle.result(10)
    assert seen == [True]


async def test_a_lease_that_turns_out_lost_stops_the_handler_and_its_outcome_does_not_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = Router[object]("r")
    heard = told(router)
    started, stopped = asyncio.Event(), asyncio.Event()
    runs: list[JobRun] = []

    @router.job
    async def endless(payload: None, context: object, run: JobRun) -> str:
        runs.append(run)
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    options = WorkerOptions(lease=0.3, heartbeat=0.01)
    app = Stoker("memory://", jobs=[router], context=None, autostart_worker=options)
    async with app:
        handle = await app.schedule(endless)
        await soon(started.wait())
        await handle.remove()
        await soon(stopped.wait())
        assert runs[0].lease_lost
        assert await handle.record() is None
    assert heard == ["on_start"]
    assert "its lease was lost (gone), the run is stopped and does not count" in caplog.text


async def test_a_timed_out_def_handler_keeps_its_slot_until_its_thread_returns() -> None:
    router = Router[object]("r")
    go = threading.Event()
    ran: list[str] = []

    @router.job(timeout=0.02)
    def blocking() -> None:
        go.wait(10)
        ran.append("blocking")

    @router.job
    async def other() -> None:
        ran.append("other")

    async with Stoker(
        "memory://", jobs=[router], autostart_worker=WorkerOptions(concurrency=1)
    ) as app:
        first = await app.schedule(blocking)
        with pytest.raises(Exception, match="JobTimeout"):
            await first.result(10)
        second = await app.schedule(other)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert ran == []
        go.set()
        await second.result(10)
    assert ran == ["blocking", "other"]


async def test_debug_logs_every_run(caplog: pytest.LogCaptureFixture) -> None:
    router = Router[object]("r")

    @router.job
    async def job(payload: str) -> None: ...

    with caplog.at_level(logging.INFO, "stoker.worker"):
        options = WorkerOptions(debug=True)
        async with Stoker("memory://", jobs=[router], autostart_worker=options) as app:
            handle = await app.schedule(job, "a secret")
            await handle.result(10)
    messages = [record.getMessage() for record in caplog.records]
    assert f"job {handle.id} (r.job) starts" in messages
    assert f"job {handle.id} (r.job) is completed" in messages
    assert "a secret" not in caplog.text
