"""Stores that do not answer: nothing is lost, nothing runs twice, hooks are told once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from packages.core.tests.application.faults import Faulty, Gate, Outage, unanswered
from packages.core.tests.application.helpers import Told, both, eventually, within, working
from packages.core.tests.application.stores import Store

from stoker import Fixed, JobRun, JobState, Router, Stoker
from stoker.driver import Complete, Settled, Settlement, SettleStatus, Want
from stoker.errors import DriverUnavailable, InvalidInput, ResultTimeout
from stoker.registry import driver_for

OPERATIONS = [
    "claim",
    "extend",
    "settle",
    "promote",
    "reap",
    "wait",
    "purge",
    "announce",
    "put_schedule",
    "list_schedules",
    "fire_schedule",
    "states",
]


@pytest.mark.parametrize("applied", [False, True], ids=["not applied", "applied"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_lost_answers_of_an_operation_lose_and_repeat_nothing(
    faulty: Faulty, operation: str, applied: bool
) -> None:
    router = Router[object]("jobs")
    told = Told()
    runs: Counter[int] = Counter()
    ticks: list[int] = []
    ticked = asyncio.Event()

    @router.job
    async def job(number: int, _: object, run: JobRun) -> int:
        runs[number] += 1
        await run.progress(50)
        # Until a heartbeat, whose answers may be those that get lost, has come through.
        if operation == "extend" and runs[number] == 1:
            await faulty.called("extend")
        return number

    @router.every(0.05)
    async def tick(_: None, __: object, run: JobRun) -> None:
        assert run.tick is not None
        ticks.append(run.tick.count)
        ticked.set()

    told.listen(Router("unused"), job)
    faulty.faults[operation] = unanswered(3, applied=applied)
    async with Stoker(faulty, jobs=[router], context=object()) as app, within():
        handles = [await app.schedule(job, n, delay=0.02 * (n % 2)) for n in range(6)]
        async with working(app, lease=0.6, heartbeat=0.05, purge=0.05):
            assert [await handle.result() for handle in handles] == list(range(6))
            await ticked.wait()

            async def the_fault_is_over() -> bool:
                return faulty.calls[operation] > 3

            await eventually(the_fault_is_over)
        records = [await handle.record() for handle in handles]
    assert runs == Counter(range(6))
    assert Counter(call.run.payload for call in told.of("job.on_success")) == runs
    assert Counter(call.run.payload for call in told.of("job.on_complete")) == runs
    assert len(ticks) == len(set(ticks))
    crashed = sum(record.crashes for record in records if record is not None)
    assert (crashed > 0) <= (operation == "claim" and applied)


async def test_a_settlement_of_unknown_outcome_is_sent_again_and_told_once(
    faulty: Faulty,
) -> None:
    router = Router[object]("jobs")
    told = Told()
    runs = 0

    @router.job(attempts=2, backoff=Fixed(0))
    async def job() -> int:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError
        return 7

    told.listen(router, job)
    faulty.faults["settle"] = unanswered(1, applied=True)
    async with Stoker(faulty, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        # One that is claimed again before the second send would be stale: so nobody claims.
        claimed = asyncio.Event()

        async def only_once(call: object) -> object:
            answer = await call()  # type: ignore[operator]
            if answer.leases:
                claimed.set()
                faulty.faults["claim"] = Gate(only=1)
            return answer

        faulty.faults["claim"] = only_once
        async with working(app):
            await told.until("router.on_retry")
            gate = faulty.faults["claim"]
            assert isinstance(gate, Gate)
            gate.open()
            assert await handle.result() == 7
    statuses = [answer.status for batch in faulty.answered("settle") for answer in batch]
    assert statuses == [SettleStatus.ALREADY, SettleStatus.APPLIED]
    assert told.names == both("on_start", "on_retry", "on_start", "on_success", "on_complete")


async def test_a_settlement_that_came_too_late_is_told_to_nobody(store: Store) -> None:
    """Two workers: the first is cut off, the second runs the job; only the second tells."""
    told = {"first": Told(), "second": Told()}
    release = asyncio.Event()
    started = asyncio.Event()

    def code(who: str) -> Router[object]:
        router = Router[object]("jobs")

        @router.job
        async def job() -> str:
            if who == "first":
                started.set()
                await release.wait()
            return who

        told[who].listen(router, job)
        return router

    first_driver = Faulty(driver_for(store.url))
    routers = {who: code(who) for who in told}
    async with (
        Stoker(first_driver, jobs=[routers["first"]]) as first,
        Stoker(store.url, jobs=[routers["second"]]) as second,
        within(),
    ):
        handle = await first.schedule(routers["first"].jobs["job"])
        async with working(first, lease=0.6):
            await started.wait()
            first_driver.faults |= dict.fromkeys(("claim", "extend", "reap"), Outage())
            async with working(second, lease=0.6):
                assert await handle.result() == "second"
            release.set()
            await first_driver.called("settle")
        record = await handle.record()
    assert record is not None
    assert (record.crashes, record.attempt) == (1, 1)
    assert told["first"].names == both("on_start")
    assert told["second"].names == both("on_start", "on_success", "on_complete")
    (answer,) = first_driver.answered("settle")[-1]
    assert answer == Settled(SettleStatus.STALE)


async def test_nothing_is_reaped_in_the_half_lease_after_an_outage(store: Store) -> None:
    driver = Faulty(driver_for(store.url))
    router = Router[object]("jobs")
    lease = 0.6

    @router.job
    async def job() -> None: ...

    other = driver_for(store.url)
    await other.open()
    async with Stoker(driver, jobs=[router]) as app, within():
        async with working(app, lease=lease):
            await driver.called("reap")
            outage = Outage()
            driver.faults |= dict.fromkeys(("claim", "wait", "reap", "extend", "promote"), outage)
            await outage.noticed.wait()
            # A worker that the same outage cuts off from its job.
            handle = await app.schedule(job)
            want = [Want("default", 1)]
            short = timedelta(milliseconds=1)
            claimed = await other.claim(want, worker="cut off", lease=short)
            assert len(claimed.leases) == 1
            loop = asyncio.get_running_loop()
            outage.end()
            ended = loop.time()
            reaps = driver.calls["reap"]
            await driver.called("reap")
            assert loop.time() - ended >= lease / 2
            assert driver.calls["reap"] == reaps + 1
            await handle.result()
        record = await handle.record()
    await other.close()
    assert record is not None
    assert record.crashes == 1


async def test_a_worker_that_was_cut_off_keeps_its_jobs_if_nobody_reaped_them(
    faulty: Faulty,
) -> None:
    router = Router[object]("jobs")
    runs = 0
    started, release = asyncio.Event(), asyncio.Event()

    @router.job
    async def job() -> int:
        nonlocal runs
        runs += 1
        started.set()
        await release.wait()
        return 7

    async with Stoker(faulty, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        async with working(app, lease=0.3):
            await started.wait()
            outage = Outage()
            faulty.faults |= dict.fromkeys(
                ("claim", "wait", "reap", "extend", "promote", "announce"), outage
            )
            record = await handle.record()
            assert record is not None
            expires_at = record.expires_at
            assert expires_at is not None

            async def has_expired() -> bool:
                return datetime.now(UTC) > expires_at

            await eventually(has_expired)
            outage.end()
            await faulty.called("reap", 3)
            release.set()
            assert await handle.result() == 7
        record = await handle.record()
    assert record is not None
    assert (runs, record.crashes) == (1, 0)


async def test_stopping_during_an_outage_gives_up_on_the_store_and_not_on_the_process(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker.worker.worker._LAST_WORDS", 0.1)
    router = Router[object]("jobs")
    started = asyncio.Event()

    @router.job
    async def job() -> None:
        started.set()
        await asyncio.Event().wait()

    async with Stoker(faulty, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        async with working(app, grace=0):
            await started.wait()
            outage = Outage()
            faulty.faults |= dict.fromkeys(OPERATIONS, outage)
        outage.end()
        assert await handle.status() is JobState.RUNNING


async def test_waiting_for_a_result_outlasts_an_outage_but_not_its_timeout(
    faulty: Faulty,
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> int:
        return 7

    async with Stoker(faulty, jobs=[router]) as app, within():
        handle = await app.schedule(job)
        outage = faulty.faults["states"] = Outage()
        with pytest.raises(ResultTimeout):
            await handle.result(timeout=0.05)
        with pytest.raises(DriverUnavailable):
            await handle.status()
        async with working(app):
            waiting = asyncio.ensure_future(handle.result())
            await outage.noticed.wait()
            outage.end()
            assert await waiting == 7


async def test_a_refused_settlement_fails_its_job_and_no_other(faulty: Faulty) -> None:
    router = Router[object]("jobs")
    told = Told()

    @router.job
    async def job(number: int) -> int:
        return number

    told.listen(router, job)
    settle = faulty.inner.settle

    async def picky(items: list[Settlement], *, now: object = None) -> object:
        if any(item.outcome == Complete(b"13") for item in items):
            raise InvalidInput("13 is not taken here")
        return await settle(items, now=now)

    faulty.inner.settle = picky
    async with Stoker(faulty, jobs=[router]) as app, within():
        handles = await app.schedule_many(job.call(number) for number in (12, 13, 14))
        async with working(app):
            assert await handles[0].result() == 12
            assert await handles[2].result() == 14
            await told.until("router.on_complete", 3)
        assert await handles[1].status() is JobState.FAILED
    (failure,) = told.of("job.on_failure")
    assert failure.run.payload == 13
    assert isinstance(failure.detail, InvalidInput)
