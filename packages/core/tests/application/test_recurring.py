"""Jobs that recur by themselves: each tick once, whoever fires it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from packages.core.tests.application.faults import Faulty
from packages.core.tests.application.helpers import within, working
from packages.core.tests.application.stores import Store

from stoker import JobRun, Router, Stoker, Tick
from stoker.registry import driver_for
from stoker.testing import ManualClock


def ticking(ticks: list[Tick], when: str | float) -> Router[object]:
    """Return a router with one recurring job that notes its ticks."""
    router = Router[object]("reports")
    decorate = router.cron(when) if isinstance(when, str) else router.every(when)

    @decorate
    async def report(_: None, __: object, job: JobRun) -> None:
        assert job.tick is not None
        assert "stoker-tick" in job.headers
        ticks.append(job.tick)

    return router


async def test_a_cron_job_runs_at_its_ticks_and_knows_them(
    store: Store, clock: ManualClock
) -> None:
    ticks: list[Tick] = []
    router = ticking(ticks, "0 9 * * *")
    start = clock.now()
    days = [start + timedelta(days=n, hours=9) for n in range(4)]
    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        await app.run_until_idle()
        assert ticks == []
        for day in days[:3]:
            await clock.set(day - timedelta(microseconds=1))
            assert await app.run_until_idle() == 0
            await clock.set(day)
            assert await app.run_until_idle() == 1
    name = "reports.report"
    assert ticks == [
        Tick(name, days[0], 1, None, days[1]),
        Tick(name, days[1], 2, days[0], days[2]),
        Tick(name, days[2], 3, days[1], days[3]),
    ]


async def test_a_cron_job_ticks_in_its_time_zone(store: Store) -> None:
    clock = ManualClock(datetime(2030, 7, 1, tzinfo=UTC))
    ticks: list[Tick] = []
    router = Router[object]("reports")

    @router.cron("0 9 * * *", tz="Europe/Berlin")
    async def report(_: None, __: object, job: JobRun) -> None:
        assert job.tick is not None
        ticks.append(job.tick)

    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        await app.run_until_idle()
        await clock.advance(timedelta(days=1))
        await app.run_until_idle()
    assert [tick.at for tick in ticks] == [datetime(2030, 7, 1, 7, tzinfo=UTC)]


async def test_an_interval_ticks_at_its_distance(store: Store, clock: ManualClock) -> None:
    ticks: list[Tick] = []
    router = ticking(ticks, 30)
    start = clock.now()
    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        for _ in range(3):
            await app.run_until_idle()
            await clock.advance(30)
        await app.run_until_idle()
    assert [tick.at for tick in ticks] == [start + timedelta(seconds=30 * n) for n in (1, 2, 3)]
    assert [tick.count for tick in ticks] == [1, 2, 3]


async def test_one_missed_tick_is_made_up_and_not_all(store: Store, clock: ManualClock) -> None:
    ticks: list[Tick] = []
    router = ticking(ticks, 30)
    start = clock.now()
    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        await app.run_until_idle()
        await clock.advance(200)
        assert await app.run_until_idle() == 1
        await clock.advance(10)
        assert await app.run_until_idle() == 1
    assert [(tick.at - start).total_seconds() for tick in ticks] == [30, 210]
    assert [tick.count for tick in ticks] == [1, 2]


async def test_a_schedule_goes_on_where_it_was_after_a_restart(
    store: Store, clock: ManualClock
) -> None:
    ticks: list[Tick] = []
    for _ in range(3):
        router = ticking(ticks, 30)
        async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
            await app.run_until_idle()
            await clock.advance(20)
            await app.run_until_idle()
    assert [tick.count for tick in ticks] == [1, 2]


async def test_a_changed_rule_replaces_the_schedule(store: Store, clock: ManualClock) -> None:
    ticks: list[Tick] = []
    start = clock.now()
    hourly, often = ticking(ticks, 3600), ticking(ticks, 30)
    async with Stoker(store.url, jobs=[hourly], context=object(), clock=clock) as app:
        await app.run_until_idle()
    async with Stoker(store.url, jobs=[often], context=object(), clock=clock) as app:
        await app.run_until_idle()
        await clock.advance(30)
        await app.run_until_idle()
    assert [tick.at for tick in ticks] == [start + timedelta(seconds=30)]


async def test_two_apps_that_fire_at_once_run_each_tick_once(
    store: Store, clock: ManualClock
) -> None:
    ticks: list[Tick] = []
    apps = [
        Stoker(
            Faulty(driver_for(store.url)),
            jobs=[ticking(ticks, 30)],
            context=object(),
            clock=clock,
        )
        for _ in range(2)
    ]
    async with apps[0], apps[1], within():
        for app in apps:
            await app.run_until_idle()
        for _ in range(5):
            await clock.advance(30)
            await asyncio.gather(*(app.run_until_idle() for app in apps))
    assert [tick.count for tick in ticks] == [1, 2, 3, 4, 5]


async def test_two_workers_run_each_tick_once_in_real_time(store: Store) -> None:
    ticks: list[Tick] = []
    enough = asyncio.Event()
    routers = []
    for _ in range(2):
        router = Router[object]("reports")

        @router.every(0.1)
        async def report(_: None, __: object, job: JobRun) -> None:
            assert job.tick is not None
            ticks.append(job.tick)
            if len(ticks) >= 5:
                enough.set()

        routers.append(router)
    apps = [Stoker(store.url, jobs=[router], context=object()) for router in routers]
    async with apps[0], apps[1], within(), working(apps[0]), working(apps[1]):
        await enough.wait()
    counts = [tick.count for tick in ticks]
    assert sorted(counts) == list(range(1, len(ticks) + 1))
    assert len({tick.at for tick in ticks}) == len(ticks)
