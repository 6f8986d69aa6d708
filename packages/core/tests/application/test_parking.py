"""Jobs that this code cannot run, though other code may: rolling deploys lose nothing."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest
from packages.core.tests.application.faults import Faulty
from packages.core.tests.application.helpers import Told, both
from packages.core.tests.application.stores import Store

from stoker import JobHandle, JobRecord, JobState, Router, Stoker
from stoker.errors import JobFailed
from stoker.registry import driver_for
from stoker.testing import ManualClock

CASES = ["unknown name", "invalid payload"]


def new_code(ran: list[object]) -> Router[object]:
    """Return the code that schedules: it has the job, which takes text."""
    router = Router[object]("jobs")

    @router.job(attempts=1)
    async def job(payload: str) -> str:
        ran.append(payload)
        return payload

    return router


def old_code(case: str, told: Told) -> Router[object]:
    """Return code that lacks the job, or has it with a number as its input."""
    router = Router[object]("jobs")
    if case == "invalid payload":

        @router.job
        async def job(payload: int) -> None: ...

        told.listen(router, job)
    return router


async def scheduled(store: Store, clock: ManualClock, ran: list[object]) -> str:
    """Schedule one job with the new code, and return its id."""
    router = new_code(ran)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        return (await app.schedule(router.jobs["job"], "text")).id


async def the_record(app: Stoker[object], job_id: str) -> JobRecord:
    """Return the record of a job that must exist."""
    record = await app.get(job_id)
    assert record is not None
    return record


def leases_in(driver: Faulty) -> int:
    """Return how many leases all claims together have handed out."""
    return sum(len(claimed.leases) for claimed in driver.answered("claim"))


@pytest.mark.parametrize("case", CASES)
async def test_a_job_that_this_code_cannot_run_waits_and_then_fails_with_the_reason(
    store: Store, clock: ManualClock, case: str
) -> None:
    told = Told()
    job_id = await scheduled(store, clock, [])
    driver = Faulty(driver_for(store.url))
    waits: list[float] = []
    async with Stoker(driver, jobs=[old_code(case, told)], clock=clock) as app:
        began = clock.now()
        while True:
            await app.run_until_idle()
            record = await the_record(app, job_id)
            if record.state is JobState.FAILED:
                break
            assert record.state is JobState.SCHEDULED
            assert (record.attempt, record.crashes) == (0, 0)
            assert record.parked_since == began
            waits.append((record.run_at - clock.now()).total_seconds())
            await clock.set(record.run_at)

    assert timedelta(minutes=15) <= clock.now() - began <= timedelta(minutes=16)
    assert leases_in(driver) == len(waits) + 1 <= 40, "it must not loop hot"
    assert min(waits) >= 1
    assert waits[-1] == 60
    assert waits == sorted(waits)
    reason = "jobs.job" if case == "unknown name" else "validate"
    assert reason in json.loads(record.errors[-1])["message"]
    assert told.names == (both("on_failure", "on_complete") if case != "unknown name" else [])


@pytest.mark.parametrize("case", CASES)
async def test_a_parked_job_is_run_by_code_that_knows_it(
    store: Store, clock: ManualClock, case: str
) -> None:
    ran: list[object] = []
    job_id = await scheduled(store, clock, ran)
    async with Stoker(store.url, jobs=[old_code(case, Told())], clock=clock) as app:
        await app.run_until_idle()
        await clock.advance(1)
        await app.run_until_idle()
        assert (await the_record(app, job_id)).state is JobState.SCHEDULED
    router = new_code(ran)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await clock.advance(60)
        assert await app.run_until_idle() == 1
        handle: JobHandle[str] = app.handle(router.jobs["job"], job_id)
        assert await handle.result() == "text"
        assert (await the_record(app, job_id)).parked_since is None
    assert ran == ["text"]


async def test_parked_jobs_do_not_keep_others_from_running(
    store: Store, clock: ManualClock
) -> None:
    for _ in range(5):
        await scheduled(store, clock, [])
    router = Router[object]("other")

    @router.job
    async def job() -> int:
        return 7

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle(concurrency=1)
        assert await handle.result() == 7


async def test_parking_is_logged(
    store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await scheduled(store, clock, [])
    async with Stoker(store.url, jobs=[Router("jobs")], clock=clock) as app:
        with caplog.at_level(logging.WARNING, "stoker.worker"):
            await app.run_until_idle()
    (record,) = caplog.records
    assert job_id in record.getMessage()
    assert "jobs.job" in record.getMessage()


async def test_a_failed_unknown_job_can_be_retried_after_the_deploy(
    store: Store, clock: ManualClock
) -> None:
    ran: list[object] = []
    job_id = await scheduled(store, clock, ran)
    async with Stoker(store.url, jobs=[Router("jobs")], clock=clock) as app:
        await app.run_until_idle()
        await clock.advance(timedelta(minutes=16))
        await app.run_until_idle()
        assert (await the_record(app, job_id)).state is JobState.FAILED
    router = new_code(ran)
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = app.handle(router.jobs["job"], job_id)
        with pytest.raises(JobFailed, match=r"no job 'jobs\.job' in the code"):
            await handle.result()
        await handle.retry()
        await app.run_until_idle()
        assert await handle.result() == "text"
