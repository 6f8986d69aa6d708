"""From a lease to its settlement: what the executor, the heartbeat and the settler do together."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, hold_back, make_site, soon, turns, until

from stoker import JobRun, JobState, Router, Stoker, WorkerOptions
from stoker.clock import SystemClock
from stoker.driver import (
    Complete,
    Extended,
    ExtendStatus,
    Extension,
    JobKey,
    JobRecord,
    NewJob,
    Settled,
    Settlement,
    Token,
    Want,
)
from stoker.errors import InvalidInput, Unsupported
from stoker.worker.execute import Executor
from stoker.worker.heartbeat import Heartbeat
from stoker.worker.held import HeldLeases
from stoker.worker.link import Link
from stoker.worker.settle import Settler
from stoker.worker.slots import Slots


class Harness:
    """The parts of a worker that a lease meets once it is claimed."""

    def __init__(self, router: Router[Any]) -> None:
        self.driver = SpyDriver()
        self.deaths: list[Any] = []
        self.freed: list[int] = []
        options = WorkerOptions(concurrency=1)
        site = make_site(self.driver, [router], options=options, clock=SystemClock())
        link = Link(self.driver, Random(1))
        self.slots = Slots(1, site.queues, lambda: self.freed.append(1))
        self.settler = Settler(link, site.clock)
        self.held = HeldLeases()
        self.executor = Executor(site, self.settler, self.held, self.slots, self.died)
        self.heartbeat = Heartbeat(site, link, self.held, self.executor.extended)

    def died(self, *death: Any) -> None:
        self.deaths.append(death)

    async def begin(self) -> None:
        await self.driver.open()
        self.settler.start(self.died)
        self.heartbeat.start(self.died)

    async def end(self) -> None:
        await self.heartbeat.stop()
        await self.settler.stop()
        self.executor.close()
        await self.driver.close()
        assert self.deaths == []

    async def start_job(self, job_id: str = "1") -> Token:
        await self.driver.enqueue([NewJob(JobKey("default", job_id), "r.job")])
        claimed = await self.driver.claim(
            [Want("default", 1)], worker="w", lease=timedelta(minutes=1)
        )
        (lease,) = claimed.leases
        self.executor.start(lease)
        return lease.token

    async def record(self, job_id: str = "1") -> JobRecord:
        (record,) = await self.driver.get([JobKey("default", job_id)])
        assert record is not None
        return record

    @property
    def settlements(self) -> list[Settlement]:
        return [item for items in self.driver.calls.get("settle", []) for item in items]


def reporting(ends: asyncio.Event) -> Router[Any]:
    """A job that logs, ends when it is told to, and logs once more."""
    router = Router[Any]("r")

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        run.log("first")
        await ends.wait()
        run.log("last")

    return router


@pytest.fixture
async def ends() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def harness(ends: asyncio.Event) -> AsyncIterator[Harness]:
    harness = Harness(reporting(ends))
    await harness.begin()
    yield harness
    await harness.end()


def messages(entries: Sequence[bytes]) -> list[str]:
    return [entry.decode().split('"message":"')[1].split('"')[0] for entry in entries]


async def test_a_run_is_settled_only_when_its_reports_have_landed_and_each_is_stored_once(
    harness: Harness, ends: asyncio.Event
) -> None:
    asked, go = hold_back(harness.driver, "extend")
    await harness.start_job()
    await soon(asked.wait())
    ends.set()
    await until(lambda: harness.freed)
    await turns()
    assert harness.settlements == []
    go.set()
    await soon(harness.executor.idle())
    record = await harness.record()
    assert record.state is JobState.COMPLETED
    assert messages(record.logs) == ["first", "last"]


async def test_a_report_that_is_sent_after_another_has_landed_is_waited_for_too(
    harness: Harness, ends: asyncio.Event
) -> None:
    real, go = harness.driver.extend, asyncio.Semaphore(0)
    sent: list[Sequence[Extension]] = []

    async def extend(items: Sequence[Extension], **more: Any) -> list[Extended]:
        sent.append(items)
        await go.acquire()
        return await real(items, **more)

    harness.driver.extend = extend  # type: ignore[method-assign]
    await harness.start_job()
    await until(lambda: len(sent) == 1)
    ends.set()
    await until(lambda: harness.freed)
    go.release()
    await turns()
    # Whether "last" is sent by a heartbeat of its own or with the outcome: not by both, not lost.
    for _ in range(9):
        go.release()
    await soon(harness.executor.idle())
    await turns()
    assert messages((await harness.record()).logs) == ["first", "last"]


async def test_the_place_of_a_run_is_free_before_its_reports_have_landed(
    harness: Harness, ends: asyncio.Event
) -> None:
    asked, go = hold_back(harness.driver, "extend")
    await harness.start_job()
    await soon(asked.wait())
    assert harness.slots.wants(["default"]) == []
    ends.set()
    await until(lambda: harness.freed)
    assert harness.slots.wants(["default"]) == [Want("default", 1)]
    go.set()
    await soon(harness.executor.idle())


async def test_reports_that_did_not_get_through_are_stored_with_the_outcome(
    harness: Harness, ends: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker.worker.heartbeat._BUSY_PATIENCE", 0.0)
    gate = asyncio.Event()

    async def extend(
        items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        harness.driver._note("extend", list(items))
        await gate.wait()
        return [Extended(ExtendStatus.BUSY) for _ in items]

    harness.driver.extend = extend  # type: ignore[method-assign]
    await harness.start_job()
    await until(lambda: "extend" in harness.driver.calls)
    ends.set()
    await until(lambda: harness.freed)
    gate.set()
    await soon(harness.executor.idle())
    assert messages((await harness.record()).logs) == ["first", "last"]


async def test_a_handler_in_a_thread_is_left_behind_and_counted_until_it_returns() -> None:
    router = Router[Any]("r")
    started, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @router.job
    def job() -> None:
        loop.call_soon_threadsafe(started.set)
        go.wait(20)

    harness = Harness(router)
    await harness.begin()
    try:
        token = await harness.start_job()
        await soon(started.wait())
        assert harness.executor.interrupt_all() == 1
        await soon(harness.executor.idle())
        assert harness.settlements == []
        # Its lease is not kept alive any more, and expires.
        assert token not in [item.token for item in harness.held.extensions(only_reports=False)]
        assert (await harness.record()).state is JobState.RUNNING
        assert harness.freed == []
        assert harness.executor.close() == 1
    finally:
        go.set()
    await until(lambda: harness.freed)
    assert harness.executor.close() == 0
    await harness.end()


async def test_a_worker_that_stops_says_how_many_threads_it_leaves_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = Router[Any]("r")
    started, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @router.job
    def job() -> None:
        loop.call_soon_threadsafe(started.set)
        go.wait(20)

    app = Stoker("memory://", jobs=[router], autostart_worker=WorkerOptions(grace=0))
    await app.open()
    try:
        handle = await app.schedule(job)
        await soon(started.wait())
        await soon(app.close())
        assert "1 handlers have not ended" in caplog.text
        await app.open(autostart=False)
        assert await handle.status() is JobState.RUNNING
        await app.close()
    finally:
        go.set()


@pytest.mark.parametrize("refusal", [InvalidInput("not this"), Unsupported("not this")])
async def test_hooks_of_a_refused_outcome_are_told_the_error_and_never_the_result(
    refusal: Exception,
) -> None:
    router = Router[Any]("r", attempts=3)
    heard: list[object] = []

    @router.job
    async def job() -> str:
        return "a result"

    router.on_success(lambda run, result: heard.append(result))
    router.on_retry(lambda run, error: heard.append("retry"))
    router.on_failure(lambda run, error: heard.append(error))

    class Refusing(SpyDriver):
        async def settle(
            self, items: Sequence[Settlement], *, now: datetime | None = None
        ) -> list[Settled]:
            if any(isinstance(item.outcome, Complete) for item in items):
                raise refusal
            return await super().settle(items, now=now)

    async with Stoker(Refusing(), jobs=[router]) as app:
        handle = await app.schedule(job)
        await soon(app.run_until_idle())
        record = await handle.record()
        assert record is not None
        assert record.state is JobState.FAILED
        assert b"not this" in record.errors[-1]
    assert heard == [refusal]


async def test_a_job_that_raises_system_exit_leaves_the_worker_and_the_others_alone() -> None:
    router = Router[Any]("r")

    @router.job
    async def leave() -> None:
        raise SystemExit(3)

    @router.job
    async def stay() -> str:
        return "here"

    async with Stoker("memory://", jobs=[router], autostart_worker=True) as app:
        first = await app.schedule(leave)
        with pytest.raises(Exception, match="SystemExit"):
            await first.result(10)
        second = await app.schedule(stay)
        assert await second.result(10) == "here"


async def test_a_job_for_which_there_is_no_place_runs_when_there_is_one(
    harness: Harness, ends: asyncio.Event
) -> None:
    await harness.start_job()
    await harness.start_job("2")
    await turns()
    assert harness.slots.ended == {"default": 0}
    assert not harness.executor.line.is_empty.is_set()
    ends.set()
    await soon(harness.executor.idle())
    assert [item.token.key.id for item in harness.settlements] == ["1", "2"]
    assert harness.slots.wants(["default"]) == [Want("default", 1)]


async def test_the_lease_of_a_job_that_waits_for_its_place_is_kept_alive(
    harness: Harness, ends: asyncio.Event
) -> None:
    await harness.start_job()
    waits = await harness.start_job("2")
    await harness.heartbeat.beat()
    assert waits in [item.token for items in harness.driver.calls["extend"] for item in items]
    ends.set()
    await soon(harness.executor.idle())


async def test_a_job_that_is_cancelled_while_it_waits_for_its_place_never_runs(
    harness: Harness, ends: asyncio.Event
) -> None:
    await harness.start_job()
    token = await harness.start_job("2")
    await harness.driver.cancel([token.key], reason="not needed")
    await harness.heartbeat.beat()
    await until(lambda: harness.settlements)
    assert harness.executor.line.is_empty.is_set()
    ends.set()
    await soon(harness.executor.idle())
    record = await harness.record("2")
    assert (record.state, record.cancel_reason) == (JobState.CANCELLED, "not needed")
    assert record.logs == ()


async def test_a_job_whose_lease_is_lost_while_it_waits_for_its_place_never_runs(
    harness: Harness, ends: asyncio.Event
) -> None:
    await harness.start_job()
    token = await harness.start_job("2")
    harness.executor.extended(token, Extended(ExtendStatus.STALE))
    ends.set()
    await soon(harness.executor.idle())
    assert [item.token.key.id for item in harness.settlements] == ["1"]
    assert len(harness.held) == 0


async def test_a_job_that_is_given_back_from_the_line_is_ready_and_has_its_attempt_back(
    harness: Harness, ends: asyncio.Event
) -> None:
    await harness.start_job()
    await harness.start_job("2")
    harness.executor.give_back_line()
    await until(lambda: harness.settlements)
    await soon(harness.settler.settled())
    record = await harness.record("2")
    assert (record.state, record.attempt) == (JobState.READY, 0)
    ends.set()
    await soon(harness.executor.idle())


async def test_who_waits_for_the_runs_waits_for_those_that_are_just_about_to_begin(
    harness: Harness, ends: asyncio.Event
) -> None:
    ends.set()
    await harness.start_job()
    await harness.executor.idle()
    assert (await harness.record()).state is JobState.COMPLETED


async def test_when_all_is_abandoned_nothing_begins_any_more(
    harness: Harness, ends: asyncio.Event
) -> None:
    ends.set()
    await harness.start_job()
    harness.executor.abandon()
    await turns()
    assert (harness.settlements, harness.slots.ended) == ([], {"default": 0})


async def test_when_all_is_abandoned_nobody_takes_the_places_that_become_free(
    harness: Harness, ends: asyncio.Event
) -> None:
    await harness.start_job()
    await harness.start_job("2")
    await turns()
    harness.executor.abandon()
    await turns()
    assert harness.slots.ended == {"default": 1}
    assert harness.slots.wants(["default"]) == [Want("default", 1)]
