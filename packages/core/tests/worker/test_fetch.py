"""Turning free slots into claims."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver, away, hold_back, make_site, soon, turns, until

from stoker import Router, WorkerOptions
from stoker.clock import SystemClock
from stoker.driver import Capability, JobKey, JobState, Lease, NewJob, Want
from stoker.worker.fetch import Fetcher
from stoker.worker.line import Line
from stoker.worker.link import Link
from stoker.worker.slots import Slots


class Runs:
    """An executor that holds what it is given until the test lets it go."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.line = Line()
        self.started: list[Lease] = []
        self.released: list[Lease] = []

    def start(self, lease: Lease) -> None:
        if self.slots.has_place(lease.token.key.queue):
            self.slots.take(lease.token.key.queue)
            self.started.append(lease)
        else:
            execution: Any = SimpleNamespace(lease=lease)
            self.line.join(execution)

    def release(self, lease: Lease) -> None:
        self.released.append(lease)

    def give_back_line(self) -> None:
        for execution in self.line.leave_all():
            self.release(execution.lease)

    def finish(self, count: int) -> None:
        for lease in self.started[:count]:
            self._finish(lease)

    def finish_job(self, job_id: str) -> None:
        (lease,) = (one for one in self.started if one.token.key.id == job_id)
        self._finish(lease)

    def _finish(self, lease: Lease) -> None:
        self.started.remove(lease)
        self.slots.free(lease.token.key.queue)
        execution = self.line.next(self.slots)
        if execution is not None:
            self.start(execution.lease)

    @property
    def ids(self) -> set[str]:
        return {lease.token.key.id for lease in self.started}


class Said:
    """A pace that is what the test says."""

    def __init__(self) -> None:
        self.says: dict[str, int] = {}
        self.heard: list[str] = []

    def ending(self) -> dict[str, int]:
        return self.says

    def forget(self) -> None:
        self.says = {}

    def claim_begins(self) -> None:
        self.heard.append("begins")

    def claim_ends(self) -> None:
        self.heard.append("ends")


class Harness:
    def __init__(self, driver: SpyDriver, **options: Any) -> None:
        self.driver = driver
        router = Router[object]("r")
        site = make_site(driver, [router], options=WorkerOptions(**options), clock=SystemClock())
        self.work = asyncio.Event()
        self.slots = Slots(site.options.concurrency, site.queues, self.work.set)
        self.runs = Runs(self.slots)
        self.due: list[timedelta | None] = []
        self.pace = Said()
        executor: Any = self.runs
        pace: Any = self.pace
        self.fetcher = Fetcher(
            site,
            Link(driver, Random(1)),
            self.slots,
            executor,
            pace,
            "w",
            work=self.work,
            learned_due=self.due.append,
        )
        self.deaths: list[Any] = []
        self.fetcher.start(lambda *death: self.deaths.append(death))

    async def enqueue(self, *ids: str, queue: str = "default") -> None:
        await self.driver.enqueue([NewJob(JobKey(queue, i), "r.job") for i in ids])
        self.work.set()

    def after_deciding(self, number: int, then: Callable[[], Awaitable[None]]) -> None:
        """Do something when the store has decided what a claim gets, before the fetcher knows."""
        real = self.driver.claim

        async def claim(*args: Any, **more: Any) -> Any:
            claimed = await real(*args, **more)
            if len(self.claims) == number:
                await then()
            return claimed

        self.driver.claim = claim  # type: ignore[method-assign]

    @property
    def claims(self) -> list[list[Want]]:
        return self.driver.calls.get("claim", [])


@pytest.fixture(autouse=True)
def no_second_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was missed is found by looking again some seconds later."""
    monkeypatch.setattr("stoker.worker.fetch._LONGEST_SLEEP", timedelta(hours=1))


@pytest.fixture
async def harness(driver: SpyDriver) -> AsyncIterator[Harness]:
    await driver.open()
    harness = Harness(driver, concurrency=3)
    yield harness
    await harness.fetcher.stop()
    assert harness.deaths == []


async def test_an_idle_worker_asks_once_and_then_sleeps(harness: Harness) -> None:
    await turns()
    assert harness.claims == [[Want("default", 3)]]


async def test_a_hint_wakes_it_and_it_asks_until_nothing_comes(harness: Harness) -> None:
    await turns()
    await harness.enqueue("1", "2")
    await until(lambda: len(harness.runs.started) == 2)
    await turns()
    assert harness.claims[1:] == [[Want("default", 3)], [Want("default", 1)]]


async def test_without_a_free_slot_nothing_is_claimed_until_one_is_free(harness: Harness) -> None:
    await harness.enqueue("1", "2", "3", "4", "5")
    await until(lambda: len(harness.runs.started) == 3)
    claims = len(harness.claims)
    harness.work.set()
    await turns()
    assert len(harness.claims) == claims
    harness.runs.finish(1)
    await until(lambda: len(harness.runs.started) == 3)
    assert harness.claims[-1] == [Want("default", 1)]


async def test_a_hint_that_comes_during_a_claim_is_not_lost(harness: Harness) -> None:
    await turns()
    harness.after_deciding(2, lambda: harness.enqueue("late"))
    harness.work.set()
    await until(lambda: harness.runs.started)


async def test_every_claim_tells_when_the_next_delayed_job_is_due(harness: Harness) -> None:
    await turns()
    assert harness.due == [None]


async def test_an_outage_is_waited_out(driver: SpyDriver) -> None:
    await driver.open()
    driver.failures["claim"] = [away(), away(maybe_applied=True)]
    harness = Harness(driver)
    await harness.enqueue("1")
    await until(lambda: harness.runs.started)
    await soon(harness.fetcher.stop())


async def test_stopping_waits_for_the_claim_in_flight_and_releases_what_it_brings(
    harness: Harness,
) -> None:
    await turns()
    real = harness.driver.claim
    gate, asked = asyncio.Event(), asyncio.Event()

    async def claim(*args: Any, **more: Any) -> Any:
        claimed = await real(*args, **more)
        asked.set()
        await gate.wait()
        return claimed

    harness.driver.claim = claim  # type: ignore[method-assign]
    await harness.enqueue("1", "2")
    await soon(asked.wait())
    stopping = asyncio.create_task(harness.fetcher.stop())
    await turns()
    assert not stopping.done()
    gate.set()
    await soon(stopping)
    assert harness.runs.started == []
    assert sorted(lease.token.key.id for lease in harness.runs.released) == ["1", "2"]


async def test_stopping_during_an_outage_claims_nothing_more(
    driver: SpyDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker.worker.link._FIRST_WAIT", 0.001)
    monkeypatch.setattr("stoker.worker.link._LONGEST_WAIT", 0.001)
    await driver.open()
    driver.raises_always["claim"] = away()
    harness = Harness(driver)
    await until(lambda: harness.claims)
    await driver.enqueue([NewJob(JobKey("default", "1"), "r.job")])
    stopping = asyncio.create_task(harness.fetcher.stop())
    await asyncio.sleep(0)
    driver.raises_always.clear()
    await soon(stopping)
    assert await driver.states([JobKey("default", "1")]) == [JobState.READY]


async def test_where_the_driver_cannot_wake_it_it_looks_at_the_interval_of_its_options() -> None:
    driver = SpyDriver(without=[Capability.WAKEUP])
    await driver.open()
    harness = Harness(driver, poll=0.002)
    await until(lambda: len(harness.claims) > 3)
    await driver.enqueue([NewJob(JobKey("default", "1"), "r.job")])
    await until(lambda: harness.runs.started)
    await harness.fetcher.stop()


async def test_a_claim_that_fails_for_another_reason_ends_the_fetcher(driver: SpyDriver) -> None:
    await driver.open()
    driver.raises_always["claim"] = RuntimeError("a defect")
    harness = Harness(driver)
    await until(lambda: harness.deaths)
    name, error = harness.deaths[0]
    assert (name, str(error)) == ("fetcher", "a defect")
    await soon(harness.fetcher.stop())


async def test_a_hint_for_one_queue_is_not_lost_while_another_is_asked_again(
    driver: SpyDriver,
) -> None:
    await driver.open()
    harness = Harness(driver, concurrency=9, queues=["a", "b"])
    await turns()
    # "b" gave something and is asked again, alone; the hint for "a" came before that.
    harness.after_deciding(2, lambda: harness.enqueue("a1", queue="a"))
    await harness.enqueue("b1", queue="b")
    await until(lambda: harness.runs.ids == {"a1", "b1"})
    await soon(harness.fetcher.stop())


async def test_a_queue_at_its_own_limit_does_not_starve_the_others(driver: SpyDriver) -> None:
    await driver.open()
    harness = Harness(driver, concurrency=3, queues={"a": 1, "b": 2})
    await turns()
    harness.after_deciding(2, lambda: harness.enqueue("b1", queue="b"))
    await harness.enqueue("a1", "a2", queue="a")
    await until(lambda: harness.runs.ids == {"a1", "b1"})
    await harness.enqueue("b2", queue="b")
    await until(lambda: harness.runs.ids == {"a1", "b1", "b2"})
    await soon(harness.fetcher.stop())


async def test_a_queue_at_its_own_limit_goes_on_when_its_place_is_free(driver: SpyDriver) -> None:
    await driver.open()
    harness = Harness(driver, concurrency=9, queues={"a": 1, "b": 8})
    await harness.enqueue("a1", "a2", queue="a")
    await harness.enqueue("b1", queue="b")
    await until(lambda: harness.runs.ids == {"a1", "b1"})
    await turns()
    harness.runs.finish_job("a1")
    await until(lambda: harness.runs.ids == {"a2", "b1"})
    await soon(harness.fetcher.stop())


async def test_a_place_that_is_freed_while_another_queue_is_asked_is_not_forgotten(
    driver: SpyDriver,
) -> None:
    await driver.open()
    harness = Harness(driver, concurrency=9, queues={"a": 1, "b": 8})
    await turns()

    async def free() -> None:
        harness.runs.finish_job("a1")

    harness.after_deciding(2, lambda: harness.enqueue("b2", queue="b"))
    harness.after_deciding(3, free)  # of "b", which gives "b2" and is asked once more
    await driver.enqueue([NewJob(JobKey("a", i), "r.job") for i in ("a1", "a2")])
    await harness.enqueue("b1", queue="b")
    await until(lambda: harness.runs.ids == {"a2", "b1", "b2"})
    await soon(harness.fetcher.stop())


async def test_with_fewer_places_than_queues_all_are_asked_before_it_sleeps(
    driver: SpyDriver,
) -> None:
    await driver.open()
    harness = Harness(driver, concurrency=1, queues=["a", "b", "c"])
    await turns()
    assert sorted(want.queue for wants in harness.claims for want in wants) == ["a", "b", "c"]
    for number, queue in enumerate("abc"):
        await harness.enqueue(str(number), queue=queue)
        await until(lambda: harness.runs.started)
        harness.runs.finish(1)
    await soon(harness.fetcher.stop())


async def test_it_claims_for_places_that_are_about_to_be_free(harness: Harness) -> None:
    harness.pace.says = {"default": 2}
    await harness.enqueue("1", "2", "3", "4", "5", "6")
    await until(lambda: len(harness.runs.started) == 3)
    await turns()
    assert harness.claims[-1] == [Want("default", 2)]


async def with_two_in_line(harness: Harness) -> set[str]:
    """Have three jobs run and two wait; returns the ids of those that run."""
    harness.pace.says = {"default": 2}
    await harness.enqueue(*"12345678")
    await until(lambda: not harness.runs.line.is_empty.is_set())
    await turns()
    return harness.runs.ids


async def test_no_more_run_than_there_are_places_and_the_others_wait(harness: Harness) -> None:
    running = await with_two_in_line(harness)
    assert running == set("123")
    assert len(harness.runs.line.leave_all()) == 2


async def test_those_that_wait_run_before_more_are_claimed(harness: Harness) -> None:
    await with_two_in_line(harness)
    claims = len(harness.claims)
    harness.work.set()
    harness.runs.finish(1)
    await turns()
    assert (harness.runs.ids, len(harness.claims)) == (set("234"), claims)
    harness.runs.finish(1)
    await turns()
    assert harness.claims[claims:] == [[Want("default", 2)]]


async def test_what_waits_in_vain_is_given_back_and_no_more_is_claimed_ahead(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker.worker.fetch._PATIENCE", 0)
    await with_two_in_line(harness)
    await until(lambda: len(harness.runs.released) == 2)
    claims = len(harness.claims)
    await turns()
    assert len(harness.claims) == claims
    harness.runs.finish(1)
    await until(lambda: len(harness.claims) > claims)
    assert harness.claims[claims] == [Want("default", 1)]


async def test_what_waits_for_a_place_is_given_back_when_it_stops(harness: Harness) -> None:
    await with_two_in_line(harness)
    await soon(harness.fetcher.stop())
    assert {lease.token.key.id for lease in harness.runs.released} == set("45")
    assert harness.runs.line.is_empty.is_set()


async def test_for_few_of_many_places_nothing_is_claimed_ahead(driver: SpyDriver) -> None:
    await driver.open()
    harness = Harness(driver, concurrency=17)
    harness.pace.says = {"default": 2}
    await harness.enqueue(*(str(number) for number in range(40)))
    await until(lambda: len(harness.runs.started) == 17)
    await turns()
    assert harness.runs.line.is_empty.is_set()
    harness.pace.says = {"default": 3}
    harness.runs.finish(1)
    await until(lambda: not harness.runs.line.is_empty.is_set())
    assert harness.claims[-1] == [Want("default", 4)]
    await soon(harness.fetcher.stop())


async def test_it_learns_how_many_places_are_freed_during_its_claims(driver: SpyDriver) -> None:
    await driver.open()
    harness = Harness(driver)
    await harness.enqueue("1")
    await until(lambda: len(harness.claims) == 2)
    await turns()
    assert harness.pace.heard == ["begins", "ends"] * 2
    await soon(harness.fetcher.stop())


async def test_what_waits_for_a_place_is_given_back_before_a_claim_in_flight_is_awaited(
    harness: Harness,
) -> None:
    await with_two_in_line(harness)
    asked, go = hold_back(harness.driver, "claim")
    harness.pace.says = {}
    harness.runs.finish(3)
    await soon(asked.wait())
    harness.runs.line.join(SimpleNamespace(lease=harness.runs.started[0]))  # type: ignore[arg-type]
    stopping = asyncio.create_task(harness.fetcher.stop())
    await turns()
    assert (len(harness.runs.released), stopping.done()) == (1, False)
    go.set()
    await soon(stopping)
