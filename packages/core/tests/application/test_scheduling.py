"""What scheduling promises: when, in which order, and how often a job is stored."""

from __future__ import annotations

from datetime import timedelta

import pytest
from packages.core.tests.application.faults import Faulty, unanswered
from packages.core.tests.application.stores import Store
from pydantic import BaseModel, model_serializer

from stoker import (
    JobRun,
    JobState,
    Router,
    Stoker,
)
from stoker.errors import (
    DriverUnavailable,
    InvalidOption,
    InvalidPayload,
    InvalidTime,
    NotOpen,
    PartlyScheduled,
    PayloadTooLarge,
    UnknownJob,
)
from stoker.registry import driver_for
from stoker.testing import ManualClock, assert_not_scheduled, assert_scheduled


class Order(BaseModel):
    """A payload."""

    user: str
    amount: int = 1


class Wrong(Order):
    """What type checkers take for an order, and is none."""

    @model_serializer
    def _nonsense(self) -> dict[str, int]:
        return {"user": 5}


async def test_a_delayed_job_runs_when_it_is_due_and_not_before(
    store: Store, clock: ManualClock
) -> None:
    ran: list[str] = []
    router = Router[object]("jobs")

    @router.job
    async def job(which: str) -> None:
        ran.append(which)

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await app.schedule(job, "delay", delay=60)
        await app.schedule(job, "timedelta", delay=timedelta(minutes=2))
        await app.schedule(job, "at", at=clock.now() + timedelta(minutes=3))
        await app.schedule(job, "past", at=clock.now() - timedelta(days=1))
        await app.run_until_idle()
        assert ran == ["past"]
        await clock.advance(timedelta(seconds=60) - timedelta(microseconds=1))
        await app.run_until_idle()
        assert ran == ["past"]
        for expected in ("delay", "timedelta", "at"):
            await clock.advance(timedelta(microseconds=1) if expected == "delay" else 60)
            await app.run_until_idle()
            assert ran[-1] == expected
    assert ran == ["past", "delay", "timedelta", "at"]


async def test_higher_priorities_run_first_and_equal_ones_in_their_order(
    store: Store, clock: ManualClock
) -> None:
    ran: list[str] = []
    router = Router[object]("jobs")

    @router.job
    async def job(which: str) -> None:
        ran.append(which)

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        for which, priority in [("a4", 4), ("b9", 9), ("c0", 0), ("d4", 4), ("e9", 9)]:
            await app.schedule(job, which, priority=priority)
        await app.run_until_idle(concurrency=1)
    assert ran == ["b9", "e9", "a4", "d4", "c0"]


async def test_a_job_id_is_stored_once(store: Store, clock: ManualClock) -> None:
    ran: list[int] = []
    router = Router[object]("jobs")

    @router.job
    async def job(number: int) -> None:
        ran.append(number)

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        first = await app.schedule(job, 1, job_id="same")
        second = await app.schedule(job, 2, job_id="same")
        elsewhere = await app.schedule(job, 3, job_id="same", queue="other")
        assert (first.created, second.created, elsewhere.created) == (True, False, True)
        assert first.id == second.id == "same"
        await app.run_until_idle()
        third = await app.schedule(job, 4, job_id="same")
        assert not third.created
        await first.remove()
        assert (await app.schedule(job, 5, job_id="same")).created
        await app.run_until_idle()
    assert sorted(ran) == [1, 3, 5]


@pytest.mark.parametrize("applied", [False, True])
async def test_a_schedule_that_is_not_answered_is_sent_again_and_stored_once(
    faulty: Faulty, clock: ManualClock, applied: bool
) -> None:
    router = Router[object]("jobs")
    ran = 0

    @router.job
    async def job() -> None:
        nonlocal ran
        ran += 1

    faulty.faults["enqueue"] = unanswered(2, applied=applied)
    async with Stoker(faulty, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job, job_id="own")
        assert handle.created
        assert await app.run_until_idle() == 1
    assert (ran, faulty.calls["enqueue"]) == (1, 3)


async def test_a_store_that_stays_away_is_an_error(faulty: Faulty, clock: ManualClock) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> None: ...

    faulty.faults["enqueue"] = unanswered(100, applied=False)
    async with Stoker(faulty, jobs=[router], clock=clock) as app:
        with pytest.raises(DriverUnavailable):
            await app.schedule(job)
        assert await app.run_until_idle() == 0


async def test_many_jobs_are_stored_in_chunks_and_in_the_order_of_the_calls(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job(number: int) -> int:
        return number

    driver = Faulty(driver_for(store.url), max_batch=4)
    async with Stoker(driver, jobs=[router], clock=clock) as app:
        handles = await app.schedule_many(job.call(number) for number in range(10))
        await app.run_until_idle()
        assert [await handle.result() for handle in handles] == list(range(10))
    assert driver.calls["enqueue"] == 3


async def test_an_error_in_the_middle_of_many_names_those_that_were_stored(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job(number: int) -> None: ...

    driver = Faulty(driver_for(store.url), max_batch=2)
    enqueue = driver.inner.enqueue
    async with Stoker(driver, jobs=[router], clock=clock) as app:

        async def second_fails(jobs: object, *, now: object = None) -> object:
            if driver.calls["enqueue"] > 1:
                raise DriverUnavailable("away", maybe_applied=False)
            return await enqueue(jobs, now=now)

        driver.inner.enqueue = second_fails
        with pytest.raises(PartlyScheduled, match="2 of 5") as caught:
            await app.schedule_many(job.call(number) for number in range(5))
        stored = [handle.id for handle in caught.value.stored]
        page = await app.search()
        assert [record.key.id for record in page.records] == sorted(stored)


async def test_nothing_is_stored_when_one_of_many_is_wrong(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job(order: Order) -> None: ...

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        with pytest.raises(InvalidPayload):
            await app.schedule_many([job.call(Order(user="a")), job.call(Wrong.model_construct())])
        await assert_not_scheduled(app, job)


async def test_bad_input_is_refused_before_anything_is_stored(
    store: Store, clock: ManualClock
) -> None:
    router, stranger = Router[object]("jobs"), Router[object]("other")

    @router.job
    async def job(order: Order) -> None: ...

    @stranger.job
    async def unknown() -> None: ...

    order = Order(user="a")
    app = Stoker(store.url, jobs=[router], clock=clock)
    with pytest.raises(NotOpen):
        await app.schedule(job, order)
    async with app:
        with pytest.raises(InvalidTime, match="not both"):
            await app.schedule(job, order, delay=1, at=clock.now())
        with pytest.raises(InvalidTime):
            await app.schedule(job, order, delay=-1)
        with pytest.raises(InvalidTime, match="naive"):
            await app.schedule(job, order, at=clock.now().replace(tzinfo=None))
        with pytest.raises(InvalidOption, match="priority"):
            await app.schedule(job, order, priority=10)
        with pytest.raises(InvalidOption, match="attempts"):
            await app.schedule(job, order, attempts=0)
        with pytest.raises(InvalidPayload):
            await app.schedule(job, Wrong.model_construct())
        with pytest.raises(PayloadTooLarge):
            await app.schedule(job, Order(user="x" * 2_000_000))
        with pytest.raises(UnknownJob):
            await app.schedule(unknown)
        with pytest.raises(UnknownJob, match=r"jobs\.nobody"):
            await app.jobs.jobs.schedule("nobody")
        await assert_not_scheduled(app, job)


async def test_jobs_are_scheduled_by_name(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job(order: Order) -> int:
        return order.amount

    async with Stoker(store.url, jobs={"shop": router}, clock=clock) as app:
        handle = await app.jobs.shop.schedule(
            task="job", input={"user": "a", "amount": 3}, options={"delay": 5}
        )
        assert (handle.name, await handle.status()) == ("shop.job", JobState.SCHEDULED)
        await clock.advance(5)
        await app.run_until_idle()
        assert await handle.result() == 3


async def test_options_merge_from_app_router_job_and_call(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs", attempts=2, tags=["router"], timeout=5)

    @router.job(tags=["job"])
    async def job() -> None: ...

    defaults: dict[str, object] = {"attempts": 9, "timeout": 9, "priority": 7, "expires": 9}
    async with Stoker(store.url, jobs=[router], defaults=defaults, clock=clock) as app:  # type: ignore[call-overload]
        record = await (await app.schedule(job, expires=None, queue="mine")).record()
    assert record is not None
    assert (record.max_attempts, record.timeout, record.priority) == (2, timedelta(seconds=5), 7)
    assert (record.tags, record.expires, record.key.queue) == (("job",), None, "mine")


async def test_a_handler_schedules_further_jobs(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")
    ran: list[int] = []

    @router.job
    async def child(number: int) -> None:
        ran.append(number)

    @router.job
    async def parent(_: None, __: object, run: JobRun) -> None:
        await run.app.schedule(child, 1)
        await run.app.schedule_many([child.call(2), child.call(3, delay=60)])

    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        await app.schedule(parent)
        assert await app.run_until_idle() == 3
        await assert_scheduled(app, child, 3, count=1)
    assert sorted(ran) == [1, 2]
