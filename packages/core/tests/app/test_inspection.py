"""Asking about jobs and changing them from outside."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver

from stoker import Capability, Changed, ChangeStatus, JobState, Router, Stoker
from stoker.driver import JobKey
from stoker.errors import InvalidInput
from stoker.testing import ManualClock

ROUTER = Router[object]("r")


@ROUTER.job
async def one(payload: int) -> None: ...


@ROUTER.job(queue="other")
async def two() -> None: ...


@pytest.fixture
async def app(driver: SpyDriver, clock: ManualClock) -> AsyncIterator[Stoker]:
    async with Stoker(driver, jobs=[ROUTER], clock=clock, prefix="prod") as app:
        yield app


async def test_a_search_filters_by_everything_it_is_given(app: Stoker, clock: ManualClock) -> None:
    first = await app.schedule(one, 1, tags=["a", "b"], metadata={"user": "7"})
    await clock.advance(60)
    second = await app.schedule(one, 2, tags=["a"], delay=5)
    third = await app.schedule(two)

    async def found(**filters: Any) -> list[str]:
        return [record.key.id for record in (await app.search(**filters)).records]

    assert await found() == [first.id, second.id]
    assert await found(newest_first=True) == [second.id, first.id]
    assert await found(queue="other") == [third.id]
    assert await found(states=["scheduled"]) == [second.id]
    assert await found(states=[JobState.READY]) == [first.id]
    assert await found(names=["r.one"], ids=[first.id]) == [first.id]
    assert await found(names=["r.two"]) == []
    assert await found(tags=["a", "b"]) == [first.id]
    assert await found(metadata={"user": "7"}) == [first.id]
    assert await found(enqueued_from=clock.now()) == [second.id]
    assert await found(enqueued_to=clock.now()) == [first.id]
    page = await app.search(limit=1)
    assert [record.key for record in page.records] == [JobKey("default", first.id)]
    following = await app.search(limit=1, cursor=page.cursor)
    assert [record.key.id for record in following.records] == [second.id]
    with pytest.raises(InvalidInput, match="a limit is 1 to 1,000"):
        await app.search(limit=0)
    with pytest.raises(InvalidInput, match="naive datetime"):
        await app.search(enqueued_from=datetime(2030, 1, 1))  # noqa: DTZ001


async def test_a_job_is_found_in_whatever_queue_it_is(app: Stoker) -> None:
    handle = await app.schedule(two)
    record = await app.get(handle.id)
    assert record is not None
    assert record.key == JobKey("other", handle.id)
    assert await app.get(handle.id, queue="default") is None
    assert await app.get("nowhere") is None


async def test_stats_count_the_queues_of_the_app_under_their_own_names(app: Stoker) -> None:
    await app.schedule(one, 1)
    await app.schedule(one, 1, delay=60)
    await app.schedule(two)
    stats = await app.stats()
    assert set(stats) == {"default", "other"}
    assert stats["default"].counts[JobState.READY] == 1
    assert stats["default"].counts[JobState.SCHEDULED] == 1
    assert set(await app.stats("other")) == {"other"}


async def test_a_paused_queue_rests_until_it_is_resumed(app: Stoker) -> None:
    await app.schedule(one, 1)
    await app.pause("default")
    assert (await app.stats("default"))["default"].paused
    assert await app.run_until_idle() == 0
    await app.resume("default")
    assert await app.run_until_idle() == 1


async def test_jobs_are_changed_by_id_with_or_without_their_queue(app: Stoker) -> None:
    handle = await app.schedule(two)
    assert (await app.cancel(handle.id, reason="no")).status is ChangeStatus.DONE
    assert (await app.retry(handle.id, queue="other")).state is JobState.READY
    assert (await app.reschedule(handle.id, delay=60)).state is JobState.SCHEDULED
    assert (await app.remove(handle.id)).status is ChangeStatus.DONE
    for change in (app.cancel, app.retry, app.reschedule, app.remove):
        assert (await change(handle.id)).status is ChangeStatus.GONE
        assert (await change(handle.id, queue="other")).status is ChangeStatus.GONE


async def test_a_busy_record_is_asked_again_for_a_while(
    app: Stoker, driver: SpyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await app.schedule(two)
    naps: list[float] = []
    real = asyncio.sleep
    now = [0.0]

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds
        await real(0)

    loop = SimpleNamespace(time=lambda: now[0])
    monkeypatch.setattr(
        "stoker.app.inspection.asyncio",
        SimpleNamespace(sleep=sleep, get_running_loop=lambda: loop),
    )
    busy = [Changed(ChangeStatus.BUSY)] * 3
    retry = driver.cancel

    async def cancel(keys: Sequence[JobKey], **more: Any) -> list[Changed]:
        return [busy.pop()] if busy else await retry(keys, **more)

    driver.cancel = cancel  # type: ignore[method-assign]
    assert (await handle.cancel()).status is ChangeStatus.DONE
    assert naps == [0.1] * 3
    busy = [Changed(ChangeStatus.BUSY)] * 1000
    assert (await handle.cancel()).status is ChangeStatus.BUSY
    assert 50 <= len(naps) - 3 <= 52


def test_an_app_tells_what_its_driver_can_do(driver: SpyDriver) -> None:
    app = Stoker(driver, jobs=[])
    assert app.supports(Capability.RESULTS)
    assert not app.supports(Capability.TRANSACTIONAL)
    assert app.driver is driver
