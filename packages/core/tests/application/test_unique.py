"""Unique keys: at most one job at a time, for as long as the options say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from packages.core.tests.application.stores import Store
from pydantic import BaseModel

from stoker import (
    JobRun,
    JobState,
    OnConflict,
    Router,
    Stoker,
    Unique,
    Until,
)
from stoker.testing import ManualClock


class Order(BaseModel):
    """A payload."""

    user: str
    amount: int = 1


async def test_the_payload_is_the_key_unless_one_is_given(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")

    @router.job(unique=Unique())
    async def by_payload(order: Order) -> None: ...

    @router.job(unique=Unique(lambda order: order.user))
    async def by_user(order: Order) -> None: ...

    @router.job(unique=Unique("one"))
    async def alone(order: Order) -> None: ...

    a1, a2, b1 = Order(user="a"), Order(user="a", amount=2), Order(user="b")
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        created = {
            job.name: [(await app.schedule(job, order)).created for order in (a1, a1, a2, b1)]
            for job in (by_payload, by_user, alone)
        }
    assert created == {
        "by_payload": [True, False, True, True],
        "by_user": [True, False, False, True],
        "alone": [True, False, False, False],
    }


async def test_a_key_until_finish_is_held_until_the_job_has_ended(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")
    while_running: list[bool] = []

    @router.job(unique=Unique("one", until=Until.FINISH), attempts=2)
    async def job(_: None, __: object, run: JobRun) -> None:
        while_running.append((await app.schedule(job)).created)
        if run.attempt == 1:
            raise ValueError

    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        first = await app.schedule(job)
        second = await app.schedule(job)
        assert (second.created, second.id) == (False, first.id)
        await app.run_until_idle()
        assert not (await app.schedule(job)).created, "it waits for its second attempt"
        await clock.advance(3600)
        await app.run_until_idle()
        assert await first.status() is JobState.COMPLETED
        assert (await app.schedule(job)).created
    assert while_running == [False, False]


async def test_a_key_until_start_is_free_while_the_job_runs(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")
    while_running: list[bool] = []

    @router.job(unique=Unique("one", until=Until.START))
    async def job() -> None:
        if not while_running:
            while_running.append((await app.schedule(job)).created)

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await app.schedule(job)
        assert not (await app.schedule(job)).created
        assert await app.run_until_idle() == 2
    assert while_running == [True]


@pytest.mark.parametrize("keep", [True, False])
async def test_a_key_until_a_time_outlives_the_job(
    store: Store, clock: ManualClock, keep: bool
) -> None:
    router = Router[object]("jobs")

    @router.job(unique=Unique("one", until=timedelta(hours=1)), keep_completed=keep)
    async def job() -> None: ...

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        first = await app.schedule(job)
        await app.run_until_idle()
        await clock.advance(3599)
        again = await app.schedule(job)
        assert not again.created
        assert (again.id == first.id) is keep
        await clock.advance(1)
        assert (await app.schedule(job)).created


async def test_a_key_until_a_datetime_is_free_from_then_on(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job() -> None: ...

    unique = Unique("one", until=clock.now() + timedelta(minutes=1))
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await app.schedule(job, unique=unique)
        await app.run_until_idle()
        assert not (await app.schedule(job, unique=unique)).created
        await clock.advance(60)
        assert (await app.schedule(job, unique=unique)).created


async def test_replace_cancels_the_waiting_job_and_stores_the_new_one(
    store: Store, clock: ManualClock
) -> None:
    ran: list[int] = []
    router = Router[object]("jobs")

    @router.job(unique=Unique("one", on_conflict=OnConflict.REPLACE))
    async def job(number: int) -> None:
        ran.append(number)

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        first = await app.schedule(job, 1)
        second = await app.schedule(job, 2)
        assert second.created
        assert await first.status() is JobState.CANCELLED
        await app.run_until_idle()
    assert ran == [2]


async def test_reschedule_moves_the_waiting_job(store: Store, clock: ManualClock) -> None:
    ran: list[int] = []
    router = Router[object]("jobs")

    @router.job(unique=Unique("one", on_conflict=OnConflict.RESCHEDULE))
    async def job(number: int) -> None:
        ran.append(number)

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        first = await app.schedule(job, 1, delay=10)
        second = await app.schedule(job, 2, delay=60)
        assert (second.created, second.id) == (False, first.id)
        await clock.advance(59)
        assert await app.run_until_idle() == 0
        await clock.advance(1)
        assert await app.run_until_idle() == 1
    assert ran == [1]


@pytest.mark.parametrize("on_conflict", list(OnConflict))
async def test_a_running_holder_of_a_key_is_left_alone(
    store: Store, clock: ManualClock, on_conflict: OnConflict
) -> None:
    router = Router[object]("jobs")
    created: list[bool] = []

    @router.job(unique=Unique("one", on_conflict=on_conflict))
    async def job() -> int:
        created.append((await app.schedule(job)).created)
        return 7

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(job)
        assert await app.run_until_idle() == 1
        assert await handle.result() == 7
    assert created == [False]


async def test_a_removed_job_frees_its_key(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")

    @router.job(unique=Unique("one", until=timedelta(days=1)))
    async def job() -> None: ...

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await (await app.schedule(job)).remove()
        assert (await app.schedule(job)).created


async def test_a_manual_retry_takes_its_key_again_or_is_refused(
    store: Store, clock: ManualClock
) -> None:
    router = Router[object]("jobs")

    @router.job(unique=Unique("one"))
    async def job() -> None:
        raise ValueError

    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        first = await app.schedule(job)
        await app.run_until_idle()
        second = await app.schedule(job)
        refused = await first.retry()
        assert (refused.status.value, refused.existing) == ("unique_conflict", second.id)
        await second.remove()
        assert (await first.retry()).state is JobState.READY
        assert not (await app.schedule(job)).created
