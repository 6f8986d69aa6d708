"""The services that look after the store, each alone."""

import asyncio
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from packages.core.tests.support import START, SpyDriver, away, make_site, turns, until

from stoker import Router, WorkerOptions
from stoker.clock import SystemClock
from stoker.driver import (
    After,
    JobKey,
    JobState,
    NewJob,
    Promoted,
    Reaped,
    Retention,
    Wake,
    Want,
)
from stoker.worker.announce import Announcer
from stoker.worker.link import Link
from stoker.worker.listen import Listener
from stoker.worker.promote import Promoter
from stoker.worker.purge import Purger, purge
from stoker.worker.reap import Reaper


def never(*death: Any) -> None:
    raise AssertionError(death)


async def test_the_promoter_sleeps_until_the_earliest_due_time_it_has_learned_of() -> None:
    driver = SpyDriver()
    await driver.open()
    promotes: list[int] = []
    woken: list[int] = []
    real = driver.promote

    async def promote(queues: Any, *, limit: int, now: datetime | None = None) -> Promoted:
        promoted = await real(queues, limit=limit, now=now)
        promotes.append(promoted.count)
        return promoted

    driver.promote = promote  # type: ignore[method-assign]
    promoter = Promoter(
        make_site(driver, clock=SystemClock()), Link(driver, Random(1)), lambda: woken.append(1)
    )
    promoter.start(never)
    await driver.enqueue([NewJob(JobKey("default", "1"), "r.job", run_at=After(timedelta(0.0001)))])
    promoter.learn(None)
    await asyncio.sleep(0)
    assert promotes == []
    promoter.learn(timedelta(hours=1))
    await asyncio.sleep(0)
    assert promotes == []
    promoter.learn(timedelta(0))
    await until(lambda: promotes)
    await promoter.stop()


async def test_a_delayed_job_becomes_ready_at_its_time_and_the_fetcher_is_told() -> None:
    driver = SpyDriver()
    await driver.open()
    woken: list[int] = []
    promoter = Promoter(
        make_site(driver, clock=SystemClock()), Link(driver, Random(1)), lambda: woken.append(1)
    )
    promoter.start(never)
    wait = timedelta(milliseconds=30)
    await driver.enqueue([NewJob(JobKey("default", "1"), "r.job", run_at=After(wait))])
    promoter.learn(wait)
    await until(lambda: woken)
    assert await driver.states([JobKey("default", "1")]) == [JobState.READY]
    await promoter.stop()


class Answers:
    """A store that gives the answers of a list to promotes, and what happened in order."""

    def __init__(self, *answers: Promoted) -> None:
        self.answers = list(answers)
        self.seen: list[str] = []

    async def promote(self, *_: Any, **__: Any) -> Promoted:
        self.seen.append("promote")
        return self.answers.pop(0) if self.answers else Promoted(0, None)

    async def sleep(self, _: float) -> None:
        self.seen.append("pause")


async def test_a_promote_that_came_too_early_is_repeated_at_once_and_pauses_only_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = Promoted(0, timedelta(0))
    store = Answers(left, left, left, Promoted(1, timedelta(0)), left)
    driver: Any = store
    monkeypatch.setattr(
        "stoker.worker.promote.asyncio", SimpleNamespace(sleep=store.sleep, Event=asyncio.Event)
    )
    promoter = Promoter(make_site(SpyDriver()), Link(driver, Random(1)), lambda: None)
    promoter.start(never)
    promoter.learn(timedelta(0))
    await until(lambda: store.seen.count("promote") == 6)
    await promoter.stop()
    # The fourth has moved one, and so the fifth is the first again.
    once = ["promote", "promote", "pause", "promote", "pause", "promote", "promote", "promote"]
    assert store.seen == once


async def test_the_promoter_does_not_go_by_the_clock_of_the_loop_which_may_be_coarse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Answers()
    driver: Any = store
    now = [7.0]
    waits: list[float | None] = []

    async def waited(_: asyncio.Event, seconds: float | None) -> bool:
        waits.append(seconds)
        if seconds is None:
            await asyncio.Event().wait()
        now[0] += 0.25  # the timer is early, and the loop's clock has hardly moved
        return False

    monkeypatch.setattr("stoker.worker.promote.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("stoker.worker.promote.set_within", waited)
    promoter = Promoter(make_site(SpyDriver()), Link(driver, Random(1)), lambda: None)
    promoter.learn(timedelta(seconds=0.5))
    promoter.start(never)
    await until(lambda: None in waits)
    await promoter.stop()
    assert waits == [0.5, 0.25, None]
    assert store.seen == ["promote"]


class Beats:
    """A heartbeat that counts; the leases are fresh from its first beat on."""

    def __init__(self) -> None:
        self.count = 0

    async def beat(self) -> None:
        self.count += 1

    def extended_within(self, period: timedelta) -> bool:
        assert period == timedelta(seconds=30)
        return self.count > 0


class Hears:
    """An executor that is told of what was reaped."""

    def __init__(self) -> None:
        self.told: list[Reaped] = []

    def reaped(self, one: Reaped) -> None:
        self.told.append(one)


@pytest.fixture
def lapse(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeps of the reaper, which take no time here and move the link's clock."""
    now = [0.0]
    real = asyncio.sleep
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)
        now[0] += seconds
        await real(0)

    monkeypatch.setattr("stoker.worker.reap.asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr("stoker.worker.link.time", SimpleNamespace(monotonic=lambda: now[0]))
    return found


async def test_the_reaper_begins_after_half_a_lease_of_contact_and_a_beat_of_its_own(
    lapse: list[float],
) -> None:
    driver = SpyDriver()
    await driver.open()
    site = make_site(driver, options=WorkerOptions(lease=60))
    link = Link(driver, Random(1))
    beats, hears = Beats(), Hears()
    heartbeat: Any = beats
    executor: Any = hears
    reaps: list[int] = []
    real = driver.reap

    async def reap(*args: Any, **more: Any) -> list[Reaped]:
        reaps.append(beats.count)
        return await real(*args, **more)

    driver.reap = reap  # type: ignore[method-assign]
    await driver.enqueue([NewJob(JobKey("default", "1"), "r.job")], now=START)
    await driver.claim(
        [Want("default", 1)],
        worker="dead",
        lease=timedelta(seconds=1),
        now=START - timedelta(minutes=1),
    )
    reaper = Reaper(site, link, heartbeat, executor)
    reaper.start(never)
    # Without an answer of the store there is no contact, and nothing is reaped.
    await until(lambda: len(lapse) > 5)
    assert (reaps, beats.count) == ([], 0)

    async def answer() -> None: ...

    await link.call("anything", answer)
    lapse.clear()
    await until(lambda: hears.told)
    assert set(lapse) == {10}
    assert len(lapse) >= 3
    assert reaps[0] == 1
    assert [(one.worker, one.state) for one in hears.told] == [("dead", JobState.READY)]
    await until(lambda: len(reaps) > 3)
    assert beats.count == 1
    await reaper.stop()


async def test_the_reaper_reaps_only_while_the_leases_of_its_own_worker_are_fresh(
    lapse: list[float],
) -> None:
    driver = SpyDriver()
    await driver.open()
    link = Link(driver, Random(1))
    seen: list[str] = []
    # Asked before the beat and after it; the second beat takes too long.
    fresh = [False, True, True, False, False, False, True]

    class Heartbeat:
        async def beat(self) -> None:
            seen.append("beat")

        def extended_within(self, period: timedelta) -> bool:
            assert period == timedelta(seconds=30)
            return fresh.pop(0) if fresh else True

    async def reap(*_: Any, **__: Any) -> list[Reaped]:
        seen.append("reap")
        return []

    async def answer() -> None: ...

    driver.reap = reap  # type: ignore[method-assign]
    heartbeat: Any = Heartbeat()
    executor: Any = Hears()
    await link.call("anything", answer)
    reaper = Reaper(make_site(driver, options=WorkerOptions(lease=60)), link, heartbeat, executor)
    reaper.start(never)
    await until(lambda: len(seen) >= 7)
    await reaper.stop()
    assert seen[:7] == ["beat", "reap", "reap", "beat", "beat", "reap", "reap"]
    assert set(lapse) == {10}


async def test_a_reap_that_met_an_outage_is_not_repeated_before_half_a_lease_of_contact(
    lapse: list[float],
) -> None:
    driver = SpyDriver()
    await driver.open()
    link = Link(driver, Random(1))
    heartbeat: Any = Beats()
    executor: Any = Hears()
    reaps: list[int] = []

    async def reap(*_: Any, **__: Any) -> list[Reaped]:
        reaps.append(len(lapse))
        if len(reaps) == 1:
            raise away(maybe_applied=True)
        return []

    async def answer() -> None: ...

    driver.reap = reap  # type: ignore[method-assign]
    await link.call("anything", answer)
    reaper = Reaper(make_site(driver, options=WorkerOptions(lease=60)), link, heartbeat, executor)
    reaper.start(never)
    await until(lambda: len(lapse) > 12)
    # Nothing else was asked, so nobody knows that the store is back.
    assert reaps == [3]
    await link.call("anything", answer)
    lapse.clear()
    await until(lambda: len(reaps) >= 2)
    assert reaps[1] == 3
    await reaper.stop()


async def test_a_purge_goes_on_until_nothing_is_left_in_bites(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = [1000, 1000, 3]
    driver = SpyDriver()
    await driver.open()
    asked: list[tuple[str, int]] = []

    async def bite(
        queue: str, policy: Retention, *, limit: int, now: datetime | None = None
    ) -> int:
        asked.append((queue, limit))
        return left.pop(0) if left else 0

    driver.purge = bite  # type: ignore[method-assign]
    monkeypatch.setattr("stoker.worker.purge._BREATH", 0)
    await purge(make_site(driver), "default")
    assert asked == [("default", 1000)] * 3


async def test_the_purger_visits_every_queue_at_its_interval() -> None:
    driver = SpyDriver()
    await driver.open()
    router = Router[object]("r", queue="other")

    @router.job
    async def job() -> None: ...

    asked: list[str] = []

    async def bite(queue: str, *_: Any, **__: Any) -> int:
        asked.append(queue)
        return 0

    driver.purge = bite  # type: ignore[method-assign]
    purger = Purger(
        make_site(driver, [router], options=WorkerOptions(purge=0.001)), Link(driver, Random(1))
    )
    purger.start(never)
    await until(lambda: len(asked) >= 4)
    await purger.stop()
    assert asked[:4] == ["default", "other"] * 2


async def test_the_listener_passes_each_hint_to_whom_it_concerns() -> None:
    driver = SpyDriver()
    await driver.open()
    hints = [Wake.WORK, Wake.CANCEL, Wake.NOTHING, Wake.WORK | Wake.CANCEL]
    heard: list[str] = []

    async def wait(queues: Any, timeout: timedelta) -> Wake:
        if not hints:
            await asyncio.Event().wait()
        return hints.pop(0)

    driver.wait = wait  # type: ignore[method-assign]
    listener = Listener(
        make_site(driver),
        Link(driver, Random(1)),
        work=lambda: heard.append("work"),
        cancel=lambda: heard.append("cancel"),
    )
    listener.start(never)
    await until(lambda: not hints)
    await listener.stop()
    assert heard == ["work", "cancel", "work", "cancel"]


async def test_a_worker_is_announced_and_withdrawn() -> None:
    driver = SpyDriver()
    await driver.open()
    site = make_site(driver)
    announcer = Announcer(site, Link(driver, Random(1)), "w1", {"pid": 7})
    announcer.start(never)

    await turns()
    (presence,) = await driver.workers(now=START)
    assert (presence.worker, presence.queues, presence.info) == ("w1", ("default",), b'{"pid":7}')
    await announcer.stop()
    await announcer.withdraw()
    assert await driver.workers(now=START) == []
