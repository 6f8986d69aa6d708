"""Jobs inside the user's own transactions, and effects that commit with the job's completion."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from packages.core.tests.application.faults import Faulty, Gate
from packages.core.tests.application.helpers import Told, both, within, working
from packages.core.tests.application.stores import Servers, Store, fresh_store, kinds

from stoker import Fixed, JobRun, JobState, Router, Stoker
from stoker.driver import Capability
from stoker.errors import (
    DriverUnavailable,
    InvalidInput,
    JobCancelled,
    JobFailed,
    LeaseLost,
    Unsupported,
)
from stoker.registry import driver_for
from stoker.testing import ManualClock
from stoker.worker.execution import Interrupt


async def effects(store: Store) -> list[str]:
    """Return what is in the table of effects, as another client sees it."""
    return [what for (what,) in await store.fetch("select what from effects order by what")]


async def add(connection: Any, what: str) -> None:
    """Write one effect."""
    await connection.execute(f"insert into effects values ('{what}')")


# Scheduling


async def test_a_job_exists_when_and_only_when_its_transaction_commits(
    sql_store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job(number: int) -> int:
        return number

    async with Stoker(sql_store.url, jobs=[router], clock=clock) as app, within():
        async with sql_store.connect() as connection:
            await connection.execute("begin")
            await add(connection, "rolled back")
            lost = await app.schedule(job, 1, connection=connection)
            await connection.execute("rollback")
            assert await lost.status() is None

            await connection.execute("begin")
            await add(connection, "committed")
            kept, other = await app.schedule_many([job.call(2), job.call(3)], connection=connection)
            named = await app.jobs.jobs.schedule("job", 4, connection=connection)
            assert await kept.status() is None, "not visible before the commit"
            await connection.execute("commit")
        assert await app.run_until_idle() == 3
        assert [await handle.result() for handle in (kept, other, named)] == [2, 3, 4]
    assert await effects(sql_store) == ["committed"]


async def test_a_job_id_that_exists_does_not_poison_the_transaction(
    sql_store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> None: ...

    async with Stoker(sql_store.url, jobs=[router], clock=clock) as app, within():
        await app.schedule(job, job_id="same")
        async with sql_store.connect() as connection:
            await connection.execute("begin")
            assert not (await app.schedule(job, job_id="same", connection=connection)).created
            await add(connection, "committed")
            await connection.execute("commit")
    assert await effects(sql_store) == ["committed"]


async def test_a_worker_is_woken_by_the_commit(sql_store: Store) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> int:
        return 7

    app = Stoker(sql_store.url, jobs=[router])
    async with app, working(app), sql_store.connect() as connection, within(3):
        await connection.execute("begin")
        handle = await app.schedule(job, connection=connection)
        await connection.execute("commit")
        assert await handle.result() == 7


async def test_a_connection_without_a_transaction_is_refused(
    sql_store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> None: ...

    async with Stoker(sql_store.url, jobs=[router], clock=clock) as app, within():
        async with sql_store.connect() as connection:
            with pytest.raises(InvalidInput):
                await app.schedule(job, connection=connection)
        assert (await app.search()).records == []


@pytest.fixture(params=[kind for kind in kinds() if kind not in kinds(Capability.TRANSACTIONAL)])
async def plain_store(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Servers
) -> AsyncIterator[Store]:
    """A store that has no transactions."""
    async with fresh_store(request.param, tmp_path, servers) as made:
        yield made


async def test_a_driver_without_transactions_refuses_loudly(
    plain_store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        async with run.transaction():
            raise AssertionError

    async with Stoker(plain_store.url, jobs=[router], context=object(), clock=clock) as app:
        with pytest.raises(Unsupported, match="transactional"):
            await app.schedule(job, connection=object())
        handle = await app.schedule(job)
        await app.run_until_idle()
        with pytest.raises(JobFailed, match="transactional"):
            await handle.result()


# Completion


async def test_effect_and_completion_commit_together(sql_store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")
    told = Told()

    @router.job
    async def job(_: None, __: object, run: JobRun) -> int:
        async with run.transaction() as connection:
            await add(connection, "done")
            run.set_result(7)
            assert await handle.status() is JobState.RUNNING
            assert await effects(sql_store) == []
        assert await handle.status() is JobState.COMPLETED
        assert await effects(sql_store) == ["done"]
        return 8

    told.listen(router, job)
    async with Stoker(sql_store.url, jobs=[router], context=object(), clock=clock) as app, within():
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.result() == 7
    assert told.names == both("on_start", "on_success", "on_complete")
    assert told.of("job.on_success")[0].detail == 7


async def test_reports_inside_of_the_block_are_stored_with_it(
    sql_store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            run.log("inside")
            await run.progress(100)
            await add(connection, "done")

    async with Stoker(sql_store.url, jobs=[router], context=object(), clock=clock) as app, within():
        handle = await app.schedule(job)
        await app.run_until_idle()
        record = await handle.record()
    assert record is not None
    assert (record.state, len(record.logs)) == (JobState.COMPLETED, 1)
    assert record.progress is not None


async def test_a_body_that_raises_rolls_back_and_fails_the_attempt(
    sql_store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")
    told = Told()

    @router.job(attempts=2, backoff=Fixed(0))
    async def job(_: None, __: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            await add(connection, f"attempt {run.attempt}")
            if run.attempt == 1:
                raise ValueError

    told.listen(router, job)
    async with Stoker(sql_store.url, jobs=[router], context=object(), clock=clock) as app, within():
        handle = await app.schedule(job)
        assert await app.run_until_idle() == 2
        assert await handle.status() is JobState.COMPLETED
    assert await effects(sql_store) == ["attempt 2"]
    assert told.names == both("on_start", "on_retry", "on_start", "on_success", "on_complete")


async def test_a_result_that_cannot_be_stored_rolls_back(
    sql_store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job(attempts=3)
    async def job(_: None, __: object, run: JobRun) -> Any:
        async with run.transaction() as connection:
            await add(connection, "done")
            run.set_result(object())

    async with Stoker(sql_store.url, jobs=[router], context=object(), clock=clock) as app, within():
        handle = await app.schedule(job)
        assert await app.run_until_idle() == 1
        with pytest.raises(JobFailed, match="UnserializableResult"):
            await handle.result()
    assert await effects(sql_store) == []


async def test_a_lost_lease_rolls_the_effects_back(sql_store: Store) -> None:
    router = Router[object]("jobs")
    told = Told()
    caught: list[BaseException] = []

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        await (await app_handle()).remove()
        try:
            async with run.transaction() as connection:
                await add(connection, "done")
        except LeaseLost as error:
            caught.append(error)
            raise

    async def app_handle() -> Any:
        return handle

    told.listen(router, job)
    async with Stoker(sql_store.url, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.status() is None
    assert len(caught) == 1
    assert await effects(sql_store) == []
    assert told.names == both("on_start")


async def test_a_run_completes_itself_once(sql_store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")
    refused: list[BaseException] = []

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            await add(connection, "once")
        with pytest.raises(InvalidInput, match="once") as caught:
            async with run.transaction() as connection:
                await add(connection, "twice")
        refused.append(caught.value)

    async with Stoker(sql_store.url, jobs=[router], context=object(), clock=clock) as app, within():
        await app.schedule(job)
        await app.run_until_idle()
    assert await effects(sql_store) == ["once"]
    assert len(refused) == 1


async def test_an_error_after_the_commit_is_logged_and_undoes_nothing(
    sql_store: Store, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    router = Router[object]("jobs")
    told = Told()

    @router.job(attempts=3)
    async def job(_: None, __: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            await add(connection, "done")
        raise ValueError("too late to fail")

    told.listen(router, job)
    async with Stoker(sql_store.url, jobs=[router], context=object(), clock=clock) as app, within():
        handle = await app.schedule(job)
        with caplog.at_level(logging.ERROR, "stoker.jobs"):
            assert await app.run_until_idle() == 1
        assert await handle.status() is JobState.COMPLETED
    assert [str(r.exc_info[1]) for r in caplog.records if r.exc_info] == ["too late to fail"]
    assert told.names == both("on_start", "on_success", "on_complete")
    assert await effects(sql_store) == ["done"]


async def test_a_job_that_is_scheduled_in_the_block_commits_with_it(
    sql_store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")
    ran: list[str] = []

    @router.job
    async def child(name: str) -> None:
        ran.append(name)

    @router.job(attempts=2, backoff=Fixed(0))
    async def parent(_: None, __: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            await run.app.schedule(child, f"of {run.attempt}", connection=connection)
            if run.attempt == 1:
                raise ValueError

    async with Stoker(sql_store.url, jobs=[router], context=object(), clock=clock) as app, within():
        await app.schedule(parent)
        assert await app.run_until_idle() == 3
    assert ran == ["of 2"]


async def test_a_user_error_of_the_database_is_the_users_own(
    sql_store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")
    seen: list[BaseException] = []

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        try:
            async with run.transaction() as connection:
                await connection.execute("insert into nowhere values (1)")
        except Exception as error:
            seen.append(error)
            raise

    async with Stoker(sql_store.url, jobs=[router], context=object(), clock=clock) as app, within():
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.status() is JobState.FAILED
    assert not isinstance(seen[0], DriverUnavailable)
    if sql_store.kind.scheme == "sqlite":
        assert isinstance(seen[0], sqlite3.OperationalError)


@pytest.mark.parametrize("interrupt", ["cancel", "timeout", "shutdown", "lease lost"])
@pytest.mark.parametrize("moment", ["settle_in", "commit"])
async def test_nothing_tears_a_commit_apart(sql_store: Store, interrupt: str, moment: str) -> None:
    driver = Faulty(driver_for(sql_store.url))
    router = Router[object]("jobs")
    told = Told()
    gate = driver.faults[moment] = Gate()

    @router.job(attempts=2, timeout=3_600)
    async def job(_: None, __: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            await add(connection, f"attempt {run.attempt}")
            run.set_result(None)

    told.listen(router, job)
    async with Stoker(driver, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        stop = asyncio.Event()
        worker = asyncio.create_task(app.run_worker(stop=stop))
        await gate.reached.wait()
        (execution,) = _executions(told)
        match interrupt:
            case "cancel":
                execution.request_cancel("too late")
            case "shutdown":
                stop.set()
                execution.interrupt(Interrupt.SHUTDOWN)
            case "lease lost":
                execution.interrupt(Interrupt.LOST)
            case _:
                execution.interrupt(Interrupt.TIMEOUT)
        gate.open()
        await handle.result()
        stop.set()
        await worker
    assert await effects(sql_store) == ["attempt 1"]
    assert told.names == both("on_start", "on_success", "on_complete")


def _executions(told: Told) -> list[Any]:
    """Return the executions behind the runs that have started."""
    return [call.run._port for call in told.of("job.on_start")]


async def test_a_cancel_before_the_end_of_the_block_rolls_back(sql_store: Store) -> None:
    router = Router[object]("jobs")
    told = Told()
    started = asyncio.Event()

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            await add(connection, "half")
            started.set()
            await asyncio.Event().wait()

    told.listen(router, job)
    async with Stoker(sql_store.url, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        async with working(app, grace=0):
            await started.wait()
            # The block holds the file's only writer, so no cancel gets through the store now.
            (execution,) = _executions(told)
            execution.request_cancel("no need")
            with pytest.raises(JobCancelled, match="no need"):
                await handle.result()
    assert await effects(sql_store) == []


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_of_unknown_outcome_is_found_out(sql_store: Store, committed: bool) -> None:
    driver = Faulty(driver_for(sql_store.url))
    router = Router[object]("jobs")
    told = Told()

    @router.job(attempts=3, backoff=Fixed(0))
    async def job(_: None, __: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            await add(connection, f"attempt {run.attempt}")

    async def commit_is_lost(call: Any) -> None:
        del driver.faults["commit"]
        if committed:
            await call()
        else:
            await driver.roll_back()
        raise DriverUnavailable("no answer to commit", maybe_applied=True)

    driver.faults["commit"] = commit_is_lost
    told.listen(router, job)
    async with Stoker(driver, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        async with working(app):
            await handle.result()
    attempt = 1 if committed else 2
    assert await effects(sql_store) == [f"attempt {attempt}"]
    assert len(told.of("job.on_success")) == len(told.of("job.on_complete")) == 1
    assert told.of("job.on_success")[0].run.attempt == attempt


async def test_a_second_try_of_a_transaction_that_could_not_begin_is_allowed(
    sql_store: Store, clock: ManualClock
) -> None:
    driver = Faulty(driver_for(sql_store.url))
    router = Router[object]("jobs")
    begin = driver.inner.transaction

    def busy_once(*arguments: Any, **options: Any) -> Any:
        driver.inner.transaction = begin
        raise DriverUnavailable("busy", maybe_applied=False)

    driver.inner.transaction = busy_once

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        with pytest.raises(DriverUnavailable):
            async with run.transaction():
                raise AssertionError
        async with run.transaction() as connection:
            await add(connection, "second try")

    async with Stoker(driver, jobs=[router], context=object(), clock=clock) as app, within():
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.status() is JobState.COMPLETED
    assert await effects(sql_store) == ["second try"]


async def test_what_comes_after_the_commit_can_still_be_stopped(sql_store: Store) -> None:
    router = Router[object]("jobs")
    committed = asyncio.Event()
    stopped = asyncio.Event()
    told = Told()

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            await add(connection, "done")
        committed.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    told.listen(router, job)
    async with Stoker(sql_store.url, jobs=[router], context=object()) as app, within():
        await app.schedule(job)
        async with working(app, grace=0):
            await committed.wait()
            (execution,) = _executions(told)
            execution.interrupt(Interrupt.TIMEOUT)
            async with within(3):
                await stopped.wait()
