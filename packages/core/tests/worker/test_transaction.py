"""`job.transaction()`: the handler's writes and the job's completion, together or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, away, hold_back, soon, turns, until

from stoker import Capability, Fixed, JobHandle, JobRun, JobState, Router, Stoker, WorkerOptions
from stoker.driver import JobKey, Settled, Settlement, SettleStatus
from stoker.errors import InvalidInput, LeaseLost
from stoker.testing import ManualClock
from stoker.worker.execution import Interrupt


class Ledger(SpyDriver):
    """A store whose transactions write lines to a ledger, and settle jobs when they commit."""

    def __init__(self) -> None:
        super().__init__()
        self._info.capabilities |= {Capability.TRANSACTIONAL}  # type: ignore[misc]
        self.lines: list[str] = []
        self.commits: list[str] = []
        self.answer_is_lost = False
        """The answer to a commit is lost..."""
        self.lost_commits_apply = True
        """... and it did, or did not, take effect."""
        self.gate = asyncio.Event()
        self.gate.set()

    def transaction(
        self, connection: Any = None, *, lease: timedelta
    ) -> AbstractAsyncContextManager[Any]:
        return self._transaction([] if connection is None else connection)

    @asynccontextmanager
    async def _transaction(self, written: list[Any]) -> AsyncIterator[list[Any]]:
        try:
            yield written
        except BaseException:
            self.commits.append("rollback")
            raise
        self.commits.append("commit")
        await self.gate.wait()
        if not self.answer_is_lost or self.lost_commits_apply:
            for entry in written:
                if isinstance(entry, Settlement):
                    await super().settle([entry])
                else:
                    self.lines.append(entry)
        if self.answer_is_lost:
            raise away(maybe_applied=True)

    async def settle_in(
        self, connection: Any, item: Settlement, *, now: datetime | None = None
    ) -> Settled:
        (record,) = await self.get([item.token.key])
        (probe,) = await self.states([item.token.key])
        if record is None or probe is not JobState.RUNNING or record.epoch != item.token.epoch:
            return Settled(SettleStatus.STALE)
        connection.append(item)
        return Settled(SettleStatus.APPLIED, JobState.COMPLETED)


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    driver = Ledger()
    yield driver
    await driver.close()


async def outcome(
    ledger: Ledger, handler: Any, **options: Any
) -> tuple[JobHandle[Any], Stoker[Any], list[str]]:
    """Run a handler with the ledger; what became of it."""
    router = Router[Any]("r", **options)
    heard: list[str] = []
    job: Any = router.job(name="job")(handler)
    router.on_success(lambda run, result: heard.append(f"success {result}"))
    router.on_failure(lambda run, error: heard.append(f"failure {error}"))
    router.on_retry(lambda run, error: heard.append(f"retry {error}"))
    app: Stoker[Any] = Stoker(ledger, jobs=[router], context=None)
    await app.open()
    handle = await app.schedule(job)
    await soon(app.run_until_idle())
    return handle, app, heard


def time_out(run: JobRun) -> None:
    """Do what the timer of a run does when its time is over."""
    execution: Any = run._port
    execution.interrupt(Interrupt.TIMEOUT)


async def test_a_block_that_ends_well_commits_its_writes_and_the_completion(
    ledger: Ledger,
) -> None:
    async def handler(payload: None, context: object, run: JobRun) -> str:
        async with run.transaction() as connection:
            connection.append("paid")
            run.set_result("receipt")
        return "what comes afterwards is not stored"

    handle, app, heard = await outcome(ledger, handler)
    assert ledger.lines == ["paid"]
    assert ledger.commits == ["commit"]
    assert await handle.result(1) == "receipt"
    assert heard == ["success receipt"]
    await app.close()


async def test_a_connection_that_was_given_is_used(ledger: Ledger) -> None:
    mine: list[Any] = ["already there"]

    async def handler(payload: None, context: object, run: JobRun) -> None:
        async with run.transaction(mine) as connection:
            assert connection is mine

    _, app, _ = await outcome(ledger, handler)
    assert ledger.lines == ["already there"]
    await app.close()


async def test_a_block_that_raises_is_rolled_back_and_the_job_is_retried(ledger: Ledger) -> None:
    async def handler(payload: None, context: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            connection.append("paid")
            raise ValueError("no")

    handle, app, heard = await outcome(ledger, handler, attempts=2, backoff=Fixed(60))
    assert (ledger.lines, ledger.commits) == ([], ["rollback"])
    assert await handle.status() is JobState.SCHEDULED
    assert heard == ["retry no"]
    await app.close()


async def test_a_block_that_raised_may_be_tried_again_within_the_run(ledger: Ledger) -> None:
    async def handler(payload: None, context: object, run: JobRun) -> None:
        with pytest.raises(ValueError, match="no"):
            async with run.transaction():
                raise ValueError("no")
        async with run.transaction() as connection:
            connection.append("paid")

    handle, app, _ = await outcome(ledger, handler)
    assert (ledger.lines, ledger.commits) == (["paid"], ["rollback", "commit"])
    assert await handle.status() is JobState.COMPLETED
    await app.close()


async def test_a_second_block_is_refused_and_the_job_stays_completed(ledger: Ledger) -> None:
    refused: list[Exception] = []

    async def handler(payload: None, context: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            connection.append("paid")
        try:
            async with run.transaction():
                pass
        except InvalidInput as error:
            refused.append(error)

    handle, app, _ = await outcome(ledger, handler)
    assert [str(error) for error in refused] == [
        "job.transaction() completes the job, so a run can use it once"
    ]
    assert ledger.lines == ["paid"]
    assert await handle.status() is JobState.COMPLETED
    await app.close()


async def test_a_handler_that_raises_after_its_commit_has_completed_all_the_same(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(payload: None, context: object, run: JobRun) -> None:
        async with run.transaction():
            pass
        raise ValueError("too late")

    handle, app, heard = await outcome(ledger, handler, attempts=3)
    assert await handle.status() is JobState.COMPLETED
    assert heard == ["success None"]
    assert "had committed its completion when its handler raised" in caplog.text
    await app.close()


async def test_a_run_whose_lease_is_lost_does_not_commit(ledger: Ledger) -> None:
    raised: list[Exception] = []

    async def handler(payload: None, context: object, run: JobRun) -> None:
        await ledger.remove([JobKey("default", run.id)])
        try:
            async with run.transaction() as connection:
                connection.append("paid")
        except LeaseLost as error:
            raised.append(error)

    _, app, heard = await outcome(ledger, handler)
    assert ledger.lines == []
    assert ledger.commits == ["rollback"]
    assert "was not this run's to complete any more" in str(raised[0])
    assert heard == []
    await app.close()


@pytest.mark.parametrize("applied", [True, False])
async def test_a_commit_whose_answer_was_lost_is_found_out(ledger: Ledger, applied: bool) -> None:
    ledger.answer_is_lost, ledger.lost_commits_apply = True, applied

    async def handler(payload: None, context: object, run: JobRun) -> None:
        ledger.answer_is_lost = run.attempt == 1 and not ledger.commits
        async with run.transaction() as connection:
            connection.append("paid")

    handle, app, heard = await outcome(ledger, handler, attempts=3, backoff=Fixed(0))
    assert ledger.lines == ["paid"]
    assert await handle.status() is JobState.COMPLETED
    assert [what.split()[0] for what in heard] == (["success"] if applied else ["retry", "success"])
    assert ledger.commits == (["commit"] if applied else ["commit", "commit"])
    await app.close()


async def test_nothing_interrupts_a_commit(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    router = Router[Any]("r")
    runs: list[JobRun] = []

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        runs.append(run)
        ledger.gate.clear()
        async with run.transaction() as connection:
            connection.append("paid")

    async with Stoker(ledger, jobs=[router], context=None) as app:
        handle = await app.schedule(job)
        running = asyncio.create_task(app.run_until_idle())
        await until(lambda: ledger.commits)
        time_out(runs[0])
        await turns()
        assert not running.done()
        ledger.gate.set()
        await soon(running)
        assert await handle.status() is JobState.COMPLETED
    assert ledger.lines == ["paid"]
    assert caplog.records == []


async def test_a_run_that_is_cancelled_while_it_commits_has_committed_and_then_stops(
    ledger: Ledger,
) -> None:
    router = Router[Any]("r")
    events: list[str] = []
    tasks: list[asyncio.Task[Any] | None] = []

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        tasks.append(asyncio.current_task())
        ledger.gate.clear()
        try:
            async with run.transaction() as connection:
                connection.append("paid")
            events.append("went on")
        except asyncio.CancelledError:
            events.append(f"stopped after {ledger.lines}")
            raise

    async with Stoker(ledger, jobs=[router], context=None) as app:
        handle = await app.schedule(job)
        running = asyncio.create_task(app.run_until_idle())
        await until(lambda: ledger.commits)
        assert tasks[0] is not None
        tasks[0].cancel()
        await turns()
        assert events == []
        ledger.gate.set()
        await soon(running)
        assert await handle.status() is JobState.COMPLETED
    assert events == ["stopped after ['paid']"]


async def test_a_timeout_stops_a_handler_that_goes_on_after_its_commit(ledger: Ledger) -> None:
    stopped: list[str] = []

    async def handler(payload: None, context: object, run: JobRun) -> str:
        async with run.transaction() as connection:
            connection.append("paid")
            run.set_result("receipt")
        asyncio.get_running_loop().call_soon(time_out, run)
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("stopped")
        return "never"

    handle, app, heard = await outcome(ledger, handler, attempts=3)
    assert heard == ["success receipt"]
    assert stopped == ["stopped"]
    assert await handle.result(1) == "receipt"
    assert ledger.lines == ["paid"]
    await app.close()


async def test_a_stopping_worker_stops_a_handler_that_goes_on_after_its_commit(
    ledger: Ledger,
) -> None:
    router = Router[Any]("r")
    committed = asyncio.Event()
    stopped: list[str] = []

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        async with run.transaction() as connection:
            connection.append("paid")
        committed.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("stopped")

    app: Stoker[Any] = Stoker(
        ledger, jobs=[router], context=None, autostart_worker=WorkerOptions(grace=0)
    )
    await app.open()
    handle = await app.schedule(job)
    await soon(committed.wait())
    await soon(app.close())
    assert stopped == ["stopped"]
    await app.open(autostart=False)
    assert await handle.status() is JobState.COMPLETED
    assert ledger.lines == ["paid"]
    await app.close()


async def test_reports_that_a_heartbeat_is_just_sending_are_committed_with_the_completion(
    ledger: Ledger,
) -> None:
    router = Router[Any]("r")
    asked, go = hold_back(ledger, "extend")

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        run.log("before the block")
        await asked.wait()
        async with run.transaction():
            run.log("inside of the block")

    async with Stoker(ledger, jobs=[router], context=None) as app:
        handle = await app.schedule(job)
        running = asyncio.create_task(app.run_until_idle())
        await until(lambda: ledger.commits)
        go.set()
        await soon(running)
        record = await handle.record()
    assert record is not None
    assert record.state is JobState.COMPLETED
    before, inside = record.logs
    assert b"before the block" in before
    assert b"inside of the block" in inside


async def test_a_driver_without_transactions_says_which_have_some(clock: ManualClock) -> None:
    router = Router[Any]("r")

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        async with run.transaction():
            pass

    async with Stoker("memory://", jobs=[router], context=None, clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        with pytest.raises(Exception, match=r"memory has no transactions to join: job.transaction"):
            await handle.result(1)
