"""Sending jobs to the store."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from packages.core.tests.support import SpyDriver, away

from stoker import JobHandle, Router, Stoker, Unique
from stoker.driver import Enqueued, JobKey, NewJob
from stoker.errors import (
    DriverClosed,
    DriverUnavailable,
    InvalidOption,
    InvalidPayload,
    PartlyScheduled,
    UnknownJob,
)

ROUTER = Router[object]("r")


@ROUTER.job
async def job(payload: str) -> str:
    return payload


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which take no time here."""
    found: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        found.append(seconds)
        await real(0)

    monkeypatch.setattr("stoker.app.enqueue.asyncio", SimpleNamespace(sleep=sleep))
    return found


def sent(driver: SpyDriver) -> list[list[JobKey]]:
    """The keys of every chunk that was sent."""
    return [[job.key for job in chunk] for chunk in driver.calls.get("enqueue", [])]


async def test_many_jobs_are_one_round_trip(driver: SpyDriver) -> None:
    async with Stoker(driver, jobs=[ROUTER]) as app:
        handles = await app.schedule_many(job.call(str(n)) for n in range(1000))
        assert len(sent(driver)) == 1
        assert len({handle.id for handle in handles}) == 1000


async def test_no_calls_are_no_round_trip(driver: SpyDriver) -> None:
    async with Stoker(driver, jobs=[ROUTER]) as app:
        assert await app.schedule_many([]) == []
        assert sent(driver) == []


async def test_chunks_hold_at_most_max_batch_jobs() -> None:
    driver = SpyDriver(max_batch=3)
    async with Stoker(driver, jobs=[ROUTER]) as app:
        await app.schedule_many(job.call("x", job_id=str(n)) for n in range(8))
        assert [len(chunk) for chunk in sent(driver)] == [3, 3, 2]


async def test_chunks_hold_at_most_max_batch_bytes_of_payload() -> None:
    driver = SpyDriver(max_batch_bytes=30)
    sizes = [10, 10, 10, 25, 5, 30, 2]
    async with Stoker(driver, jobs=[ROUTER]) as app:
        await app.schedule_many(
            job.call("x" * (size - 2), job_id=str(n)) for n, size in enumerate(sizes)
        )
        chunks = [[len(new.payload) for new in chunk] for chunk in driver.calls["enqueue"]]
        assert chunks == [[10, 10, 10], [25, 5], [30], [2]]


async def test_jobs_are_sent_and_answered_in_the_order_of_their_calls() -> None:
    driver = SpyDriver(max_batch=2)
    ids = ["d", "a", "c", "b", "e"]
    async with Stoker(driver, jobs=[ROUTER]) as app:
        await app.schedule(job, "first", job_id="c")
        driver.calls.clear()
        handles = await app.schedule_many(job.call(i, job_id=i) for i in ids)
        assert [key.id for chunk in sent(driver) for key in chunk] == ids
        assert [handle.id for handle in handles] == ids
        assert [handle.created for handle in handles] == [True, True, False, True, True]


async def test_all_calls_are_validated_before_the_first_one_is_stored(driver: SpyDriver) -> None:
    async with Stoker(driver, jobs=[ROUTER]) as app:
        wrong = job.call(5)  # type: ignore[arg-type]
        with pytest.raises(InvalidPayload):
            await app.schedule_many([job.call("x"), job.call("y"), wrong])
        assert sent(driver) == []
        assert await app.queues() == []


async def test_what_is_no_call_is_refused_with_the_way_to_make_one(driver: SpyDriver) -> None:
    async with Stoker(driver, jobs=[ROUTER]) as app:
        with pytest.raises(UnknownJob, match=r"is not a call: make it with job.call\(...\)"):
            await app.schedule_many([job])  # type: ignore[arg-type]
        with pytest.raises(InvalidOption, match=r"in .call\(...\), not beside it"):
            await app.schedule(job.call("x"), "y")  # type: ignore[call-overload]
        with pytest.raises(InvalidOption, match=r"in .call\(...\), not beside it"):
            await app.schedule(job.call("x"), delay=5)  # type: ignore[call-overload]
        assert await app.queues() == []


async def test_an_outage_is_waited_out_and_the_very_same_request_is_sent_again(
    driver: SpyDriver, naps: list[float]
) -> None:
    driver.failures["enqueue"] = [away(), away(maybe_applied=True), away()]
    async with Stoker(driver, jobs=[ROUTER]) as app:
        handle = await app.schedule(job, "x")
        assert handle.created
        first, *again = driver.calls["enqueue"]
        assert again == [first, first, first]
        assert first[0].nonce
        assert naps == [0.05, 0.25, 1.0]


async def test_a_request_whose_answer_was_lost_is_stored_once(driver: SpyDriver) -> None:
    real = driver.enqueue
    lost = [away(maybe_applied=True)]

    async def enqueue(jobs: Sequence[NewJob], **more: object) -> list[Enqueued]:
        answers = await real(jobs, **more)  # type: ignore[arg-type]
        if lost:
            raise lost.pop()
        return answers

    driver.enqueue = enqueue  # type: ignore[method-assign]
    async with Stoker(driver, jobs=[ROUTER]) as app:
        handles = await app.schedule_many([job.call("x"), job.call("y", job_id="mine")])
        assert [handle.created for handle in handles] == [True, True]
        assert len((await app.search()).records) == 2


async def test_an_outage_that_lasts_is_an_error_and_stores_nothing(driver: SpyDriver) -> None:
    driver.raises_always["enqueue"] = away()
    async with Stoker(driver, jobs=[ROUTER]) as app:
        with pytest.raises(DriverUnavailable):
            await app.schedule(job, "x")
        assert len(driver.calls["enqueue"]) == 4
        assert await app.queues() == []


async def test_other_errors_are_not_tried_again(driver: SpyDriver) -> None:
    driver.raises_always["enqueue"] = DriverClosed("closed")
    async with Stoker(driver, jobs=[ROUTER]) as app:
        with pytest.raises(DriverClosed):
            await app.schedule(job, "x")
        assert len(driver.calls["enqueue"]) == 1


async def test_an_error_in_the_middle_carries_the_handles_of_what_was_stored() -> None:
    driver = SpyDriver(max_batch=2)
    real = driver.enqueue

    async def enqueue(jobs: Sequence[NewJob], **more: object) -> list[Enqueued]:
        if jobs[0].key.id == "e":  # the third chunk
            raise away()
        return await real(jobs, **more)  # type: ignore[arg-type]

    driver.enqueue = enqueue  # type: ignore[method-assign]
    ids = ["f", "a", "c", "b", "e", "d"]
    async with Stoker(driver, jobs=[ROUTER]) as app:
        with pytest.raises(PartlyScheduled) as caught:
            await app.schedule_many(job.call(i, job_id=i) for i in ids)
        assert "4 of 6 jobs were stored before an error: the store is away" in str(caught.value)
        assert isinstance(caught.value.__cause__, DriverUnavailable)
        stored: Sequence[JobHandle[str]] = caught.value.stored
        assert [handle.id for handle in stored] == ["f", "a", "c", "b"]
        assert all([await handle.status() for handle in stored])
        assert len((await app.search()).records) == 4


async def test_a_held_unique_key_gives_the_handle_of_the_holder(driver: SpyDriver) -> None:
    async with Stoker(driver, jobs=[ROUTER]) as app:
        first = await app.schedule(job, "x", unique=Unique("k"))
        second = await app.schedule(job, "y", unique=Unique("k"))
        assert (first.created, second.created) == (True, False)
        assert second.id == first.id
