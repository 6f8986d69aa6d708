"""Asserting what was scheduled."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from pydantic import BaseModel

from stoker import JobRecord, Router, Stoker
from stoker.errors import UnknownJob
from stoker.testing import ManualClock, assert_not_scheduled, assert_scheduled


class Welcome(BaseModel):
    user_id: str


ROUTER = Router[object]("emails")


@ROUTER.job
async def send(payload: Welcome) -> None: ...


@ROUTER.job(queue="other")
async def flush() -> None: ...


@pytest.fixture
async def app(clock: ManualClock) -> AsyncIterator[Stoker]:
    async with Stoker("memory://", jobs=[ROUTER], clock=clock) as app:
        yield app


async def test_what_was_scheduled_is_returned_with_payload_and_record(app: Stoker) -> None:
    await app.schedule(send, Welcome(user_id="1"))
    await app.schedule(send, Welcome(user_id="2"), queue="elsewhere", delay=60)
    await app.schedule(flush)
    found = await app.scheduled(send)
    assert sorted(payload.user_id for payload, _ in found) == ["1", "2"]
    assert all(isinstance(record, JobRecord) for _, record in found)
    assert len(await app.scheduled(flush)) == 1


async def test_more_than_a_page_is_found(app: Stoker) -> None:
    await app.schedule_many(send.call(Welcome(user_id=str(n))) for n in range(350))
    assert len(await app.scheduled(send)) == 350


async def test_jobs_that_ran_are_not_scheduled_any_more(app: Stoker) -> None:
    await app.schedule(send, Welcome(user_id="1"))
    await app.run_until_idle()
    assert await app.scheduled(send) == []
    await assert_not_scheduled(app, send)


async def test_assertions_count_by_payload_and_by_record(app: Stoker, clock: ManualClock) -> None:
    await app.schedule(send, Welcome(user_id="1"))
    await app.schedule(send, Welcome(user_id="1"), delay=60)
    await app.schedule(send, Welcome(user_id="2"))
    later = clock.now() + timedelta(minutes=1)
    assert len(await assert_scheduled(app, send)) == 3
    assert len(await assert_scheduled(app, send, count=3)) == 3
    assert len(await assert_scheduled(app, send, Welcome(user_id="1"), count=2)) == 2
    (record,) = await assert_scheduled(
        app, send, Welcome(user_id="1"), where=lambda r: r.run_at == later, count=1
    )
    assert record.run_at == later
    await assert_not_scheduled(app, send, Welcome(user_id="3"))
    await assert_not_scheduled(app, flush)


async def test_a_wrong_assertion_lists_what_was_scheduled(app: Stoker) -> None:
    with pytest.raises(AssertionError) as caught:
        await assert_scheduled(app, send)
    assert str(caught.value) == (
        "expected at least one call of send to be scheduled, found 0; scheduled calls of it: none"
    )
    await app.schedule(send, Welcome(user_id="1"))
    with pytest.raises(AssertionError) as caught:
        await assert_scheduled(app, send, Welcome(user_id="2"), count=2)
    assert str(caught.value) == (
        "expected 2 calls of send with Welcome(user_id='2') to be scheduled, found 0; "
        "scheduled calls of it: Welcome(user_id='1') at 2030-01-01T00:00:00+00:00"
    )
    with pytest.raises(AssertionError, match="expected 0 calls of send"):
        await assert_not_scheduled(app, send)


async def test_a_job_of_another_app_is_an_error_and_not_an_empty_answer(app: Stoker) -> None:
    stranger = Router[object]("stranger")

    @stranger.job
    async def other() -> None: ...

    with pytest.raises(UnknownJob):
        await assert_not_scheduled(app, other)
