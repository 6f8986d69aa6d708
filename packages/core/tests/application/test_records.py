"""What is kept of jobs, how it is found, and what can be done with it from outside."""

from __future__ import annotations

import json
from datetime import timedelta

from packages.core.tests.application.helpers import eventually, within, working
from packages.core.tests.application.stores import Store

from stoker import (
    ChangeStatus,
    Fixed,
    JobRun,
    JobState,
    Keep,
    Retention,
    Router,
    Stoker,
)
from stoker.testing import ManualClock


def demo() -> Router[object]:
    """Return a router with jobs that end in each way."""
    router = Router[object]("jobs")

    @router.job
    async def echo(number: int) -> int:
        return number

    @router.job
    async def bad() -> None:
        raise ValueError("no")

    return router


# Retention


async def test_a_job_that_is_not_kept_leaves_no_record(store: Store, clock: ManualClock) -> None:
    router = demo()
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        done = await app.schedule(router.jobs["echo"], 1, keep_completed=False)
        failed = await app.schedule(router.jobs["bad"], keep_completed=False)
        gone = await app.schedule(router.jobs["bad"], keep_failed=False)
        await app.run_until_idle()
        assert [await handle.status() for handle in (done, failed, gone)] == [
            None,
            JobState.FAILED,
            None,
        ]


async def test_a_job_is_kept_as_long_as_it_says(store: Store, clock: ManualClock) -> None:
    router = demo()
    forever = Retention()
    async with Stoker(store.url, jobs=[router], clock=clock, retention=forever) as app:
        short = await app.schedule(router.jobs["echo"], 1, keep_completed=60)
        long = await app.schedule(router.jobs["echo"], 1)
        await app.run_until_idle()
        await clock.advance(59)
        await app.run_until_idle()
        assert await short.status() is JobState.COMPLETED
        await clock.advance(2)
        await app.run_until_idle()
        assert await short.status() is None
        assert await long.status() is JobState.COMPLETED


async def test_by_default_completed_jobs_are_kept_an_hour_and_failed_ones_a_month(
    store: Store, clock: ManualClock
) -> None:
    router = demo()
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        done = await app.schedule(router.jobs["echo"], 1)
        failed = await app.schedule(router.jobs["bad"])

        async def left_after(time: timedelta) -> list[JobState | None]:
            await clock.advance(time)
            await app.run_until_idle()
            return [await done.status(), await failed.status()]

        both = [JobState.COMPLETED, JobState.FAILED]
        assert await left_after(timedelta(0)) == both
        assert await left_after(timedelta(minutes=59)) == both
        assert await left_after(timedelta(minutes=2)) == [None, JobState.FAILED]
        assert await left_after(timedelta(days=29)) == [None, JobState.FAILED]
        assert await left_after(timedelta(days=1)) == [None, None]


async def test_only_the_newest_are_kept_where_retention_counts(
    store: Store, clock: ManualClock
) -> None:
    router = demo()
    retention = Retention(completed=Keep(newest=2))
    async with Stoker(store.url, jobs=[router], clock=clock, retention=retention) as app:
        handles = []
        for number in range(4):
            handles.append(await app.schedule(router.jobs["echo"], number))
            await app.run_until_idle()
            await clock.advance(1)
        left = [await handle.status() for handle in handles]
    assert left == [None, None, JobState.COMPLETED, JobState.COMPLETED]


async def test_a_worker_purges_at_its_interval(store: Store) -> None:
    router = demo()
    async with Stoker(store.url, jobs=[router]) as app, within():
        short = await app.schedule(router.jobs["echo"], 1, keep_completed=0.01)
        long = await app.schedule(router.jobs["echo"], 1)
        async with working(app, purge=0.01):
            await long.result()

            async def is_gone() -> bool:
                return await short.status() is None

            await eventually(is_gone)
            assert await long.status() is JobState.COMPLETED


# Search and numbers


async def test_search_filters_by_everything_it_offers(store: Store, clock: ManualClock) -> None:
    router = demo()
    echo = router.jobs["echo"]
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        start = clock.now()
        one = await app.schedule(echo, 1, tags=["red", "big"], metadata={"user": "a"})
        await clock.advance(10)
        two = await app.schedule(echo, 2, tags=["red"], metadata={"user": "a", "plan": "pro"})
        three = await app.schedule(router.jobs["bad"], tags=["blue"], delay=60)
        four = await app.schedule(echo, 4, queue="other", tags=["red"])
        await app.run_until_idle()

        async def ids(**filters: object) -> list[str]:
            page = await app.search(**filters)  # type: ignore[arg-type]
            assert page.cursor is None
            return [record.key.id for record in page.records]

        assert await ids() == [one.id, two.id, three.id]
        assert await ids(newest_first=True) == [three.id, two.id, one.id]
        assert await ids(queue="other") == [four.id]
        assert await ids(tags=["red"]) == [one.id, two.id]
        assert await ids(tags=["red", "big"]) == [one.id]
        assert await ids(tags=["nothing"]) == []
        assert await ids(metadata={"user": "a"}) == [one.id, two.id]
        assert await ids(metadata={"user": "a", "plan": "pro"}) == [two.id]
        assert await ids(metadata={"user": "b"}) == []
        assert await ids(names=["jobs.bad"]) == [three.id]
        assert await ids(states=["scheduled"]) == [three.id]
        assert await ids(states=[JobState.COMPLETED], tags=["big"]) == [one.id]
        assert await ids(ids=[two.id, "nobody"]) == [two.id]
        assert await ids(enqueued_from=start + timedelta(seconds=5)) == [two.id, three.id]
        assert await ids(enqueued_to=start + timedelta(seconds=5)) == [one.id]


async def test_pages_together_hold_every_job_once(store: Store, clock: ManualClock) -> None:
    router = demo()
    echo = router.jobs["echo"]
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handles = await app.schedule_many(echo.call(n, tags=["even"] * (n % 2)) for n in range(25))
        seen: list[str] = []
        cursor = None
        while True:
            page = await app.search(tags=["even"], limit=5, cursor=cursor)
            seen += [record.key.id for record in page.records]
            cursor = page.cursor
            if cursor is None:
                break
    assert sorted(seen) == sorted(handle.id for handle in handles[1::2])


async def test_a_run_sees_its_tags_metadata_and_numbers(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")
    seen: list[JobRun] = []

    @router.job(tags=["red"], metadata={"user": "a"}, priority=6, attempts=2, backoff=Fixed(60))
    async def job(_: int, __: object, run: JobRun) -> None:
        seen.append(run)
        raise ValueError

    async with Stoker(
        store.url, jobs=[router], context=object(), clock=clock, prefix="prod"
    ) as app:
        start = clock.now()
        handle = await app.schedule(job, 5)
        await clock.advance(3)
        await app.run_until_idle()
    (run,) = seen
    assert (run.id, run.name, run.queue) == (handle.id, "jobs.job", "default")
    assert (run.payload, run.priority, run.tags) == (5, 6, ("red",))
    assert dict(run.metadata) == {"user": "a"}
    assert (run.attempt, run.max_attempts, run.is_final_attempt) == (1, 2, False)
    assert run.enqueued_at == run.run_at == start
    assert run.started_at == start + timedelta(seconds=3)
    assert run.fence > 0
    assert run.tick is None


async def test_stats_count_every_state(store: Store, clock: ManualClock) -> None:
    router = demo()
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await app.schedule(router.jobs["echo"], 1)
        await app.schedule(router.jobs["bad"])
        await app.run_until_idle()
        await (await app.schedule(router.jobs["echo"], 1)).cancel()
        await app.schedule(router.jobs["echo"], 1, delay=60)
        await app.schedule(router.jobs["echo"], 1)
        await clock.advance(5)
        stats = (await app.stats())["default"]
        assert (await app.stats("default"))["default"] == stats
        assert await app.queues() == ["default"]
    assert dict(stats.counts) == dict.fromkeys(JobState, 1) | {JobState.RUNNING: 0}
    assert stats.oldest_ready == timedelta(seconds=5)
    assert not stats.paused


# Changes from outside


async def test_a_paused_queue_gives_nothing_until_it_is_resumed(
    store: Store, clock: ManualClock
) -> None:
    router = demo()
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        await app.pause("default")
        handle = await app.schedule(router.jobs["echo"], 7)
        assert await app.run_until_idle() == 0
        assert (await app.stats("default"))["default"].paused
        await app.resume("default")
        assert await app.run_until_idle() == 1
        assert await handle.result() == 7


async def test_jobs_are_found_cancelled_retried_moved_and_removed_by_id(
    store: Store, clock: ManualClock
) -> None:
    router = demo()
    async with Stoker(store.url, jobs=[router], clock=clock) as app:
        handle = await app.schedule(router.jobs["echo"], 7, queue="other", delay=60)
        record = await app.get(handle.id)
        assert record is not None
        assert (record.key.queue, json.loads(record.payload)) == ("other", 7)
        assert await app.get(handle.id, queue="default") is None
        assert await app.get("nobody") is None

        assert (await app.cancel(handle.id)).state is JobState.CANCELLED
        assert (await app.cancel(handle.id)).status is ChangeStatus.NOT_APPLICABLE
        assert (await app.retry(handle.id)).state is JobState.READY
        assert (await app.reschedule(handle.id, delay=60)).state is JobState.SCHEDULED
        assert (await app.reschedule(handle.id)).state is JobState.READY
        assert (await app.remove(handle.id)).status is ChangeStatus.DONE
        for change in (app.cancel, app.retry, app.reschedule, app.remove):
            assert (await change(handle.id)).status is ChangeStatus.GONE


async def test_a_manual_retry_gives_all_attempts_again(store: Store, clock: ManualClock) -> None:
    router = Router[object]("jobs")
    attempts: list[int] = []

    @router.job(attempts=2, backoff=Fixed(0))
    async def job(_: None, __: object, run: JobRun) -> str:
        attempts.append(run.attempt)
        if len(attempts) < 4:
            raise ValueError
        return "at last"

    async with Stoker(store.url, jobs=[router], context=object(), clock=clock) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.status() is JobState.FAILED
        assert (await handle.retry()).state is JobState.READY
        await app.run_until_idle()
        assert await handle.result() == "at last"
    assert attempts == [1, 2, 1, 2]


async def test_a_prefix_keeps_two_apps_on_one_store_apart(store: Store, clock: ManualClock) -> None:
    ran: list[str] = []

    def code(who: str) -> Router[object]:
        router = Router[object]("jobs")

        @router.job
        async def job() -> None:
            ran.append(who)

        @router.every(60)
        async def tick() -> None:
            ran.append(f"{who} ticks")

        return router

    routers = {who: code(who) for who in ("a", "b")}
    apps = {
        who: Stoker(store.url, jobs=[router], prefix=who, clock=clock)
        for who, router in routers.items()
    }
    async with apps["a"] as a, apps["b"] as b:
        handle = await a.schedule(routers["a"].jobs["job"], job_id="same")
        assert (await b.schedule(routers["b"].jobs["job"], job_id="same")).created
        await b.pause("default")
        assert handle.queue == "default"
        await a.run_until_idle()
        await b.run_until_idle()
        assert ran == ["a"]
        assert await a.queues() == await b.queues() == ["default"]
        (found,) = (await a.search()).records
        assert (found.key.queue, found.state) == ("default", JobState.COMPLETED)
        assert (await b.stats())["default"].counts[JobState.READY] == 1
        await b.resume("default")
        await clock.advance(60)
        await b.run_until_idle()
    assert ran == ["a", "b", "b ticks"]
