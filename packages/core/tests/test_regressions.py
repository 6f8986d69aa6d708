"""What a critical reading of the core found, so that it does not come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast

import pytest
from packages.core.tests.support import SpyDriver, make_site, soon, turns, until
from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field

from stoker import (
    Cancel,
    Capability,
    Cron,
    Exponential,
    Fixed,
    JobRun,
    JobState,
    Router,
    Stoker,
    Unique,
    WorkerOptions,
    jobs,
)
from stoker._ids import new_id
from stoker.app.waiting import Waiting
from stoker.driver import JobKey, NewJob, Presence
from stoker.errors import (
    ConfigurationError,
    DuplicateName,
    InvalidHandler,
    InvalidOption,
    InvalidPayload,
    InvalidTime,
    ResultError,
    UnknownJob,
    UnknownScheme,
    WorkerCrashed,
)
from stoker.registry import driver_for, mask
from stoker.testing import ManualClock
from stoker.worker.heartbeat import Heartbeat
from stoker.worker.held import HeldLeases
from stoker.worker.link import Link


async def within(awaitable: Any, seconds: float = 3) -> Any:
    return await asyncio.wait_for(awaitable, seconds)


async def test_a_handler_that_logs_and_returns_does_not_hang_run_until_idle() -> None:
    router = Router[object]("r")

    @router.job
    async def job(payload: None, context: object, run: JobRun) -> None:
        run.log("one entry")

    async with Stoker("memory://", jobs=[router], context=1) as app:
        await app.schedule(job)
        assert await within(app.run_until_idle()) == 1


async def test_a_service_that_is_woken_and_stopped_in_one_turn_stops() -> None:
    driver = SpyDriver()
    await driver.open()
    heartbeat = Heartbeat(make_site(driver), Link(driver, Random(1)), HeldLeases(), lambda *_: None)
    heartbeat.start(lambda *_: None)
    await turns()
    heartbeat.beat_now()
    await asyncio.sleep(0)
    await within(heartbeat.stop())


async def test_waiting_that_is_woken_and_closed_in_one_turn_closes() -> None:
    driver = SpyDriver()
    await driver.open()
    waiting = Waiting(driver)
    key = JobKey("q", "1")
    await driver.enqueue([NewJob(key, "r.job")])
    task = asyncio.create_task(waiting.until_ended(key))
    await turns()
    waiting.ended(key)
    await asyncio.sleep(0)
    await within(waiting.close())
    await asyncio.wait([task])


async def test_a_queue_at_its_limit_does_not_starve_the_others() -> None:
    router = Router[object]("r")
    started, go, other = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @router.job(queue="a")
    async def long() -> None:
        started.set()
        await go.wait()

    @router.job(queue="b")
    async def short() -> None:
        other.set()

    options = WorkerOptions(concurrency=6, queues={"a": 1, "b": 5}, grace=1)
    async with Stoker("memory://", jobs=[router], autostart_worker=options) as app:
        await app.schedule(long)
        await within(started.wait())
        await asyncio.sleep(0.05)
        await app.schedule(short)
        try:
            await within(other.wait())
        finally:
            go.set()


class Stubborn(Exception):
    def __str__(self) -> str:
        return str(self.response.text)  # type: ignore[attr-defined]  # as in many client libraries


class NotText:
    def __str__(self) -> str:
        return "text"


@pytest.mark.parametrize("error", [Stubborn(), Cancel(404), Cancel(NotText()), Cancel("x" * 5000)])  # type: ignore[arg-type]
async def test_whatever_a_handler_raises_ends_its_own_job_only(error: Exception) -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> None:
        raise error

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(job)
        await within(app.run_until_idle())
        expected = JobState.CANCELLED if isinstance(error, Cancel) else JobState.FAILED
        assert await handle.status() is expected


async def test_run_until_idle_ends_with_an_error_when_the_settler_dies() -> None:
    driver = SpyDriver()
    driver.raises_always["settle"] = RuntimeError("a defect")
    router = Router[object]("r")

    @router.job
    async def job() -> None: ...

    async with Stoker(driver, jobs=[router]) as app:
        await app.schedule(job)
        with pytest.raises(WorkerCrashed, match="a defect"):
            await within(app.run_until_idle())


def test_an_app_can_be_opened_again_on_another_event_loop() -> None:
    router = Router[object]("r")

    @router.job
    async def job(payload: int) -> int:
        return payload + 1

    app = Stoker("memory://reopened", jobs=[router], autostart_worker=True)

    async def once() -> int:
        async with app:
            handle = await app.schedule(job, 1)
            result: int = await handle.result(2)
            return result

    assert [asyncio.run(once()), asyncio.run(once())] == [2, 2]


@pytest.mark.parametrize(
    ("expression", "tz", "hour"),
    [
        ("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
        ("15 1,2,3 * * *", "Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
        ("30 1 * * *", "America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
        ("45 1 * * *", "Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ],
)
def test_the_first_tick_is_later_than_now_in_the_hour_that_comes_twice(
    expression: str, tz: str, hour: datetime
) -> None:
    for minute in range(60):
        now = hour + timedelta(minutes=minute)
        tick = Cron(expression, tz=tz).first(now)
        assert tick is not None
        assert tick > now


async def test_an_app_whose_worker_cannot_start_is_closed_again() -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[int]:
        raise RuntimeError("no database")
        yield 1

    driver = SpyDriver()
    app = Stoker(driver, jobs=[Router[int]("r")], lifespan=lifespan, autostart_worker=True)
    with pytest.raises(RuntimeError, match="no database"):
        await app.open()
    assert (driver.opened, driver.closed) == (1, 1)


async def _job() -> None: ...


@pytest.mark.parametrize(
    "options", [{"delay": 5}, {"at": datetime(2030, 1, 1, tzinfo=UTC)}, {"job_id": "x"}]
)
@pytest.mark.parametrize("level", ["app", "router", "job"])
def test_options_of_a_call_are_refused_elsewhere(level: str, options: Any) -> None:
    builds: dict[str, Any] = {
        "app": lambda: Stoker("memory://", jobs=[], defaults=options),
        "router": lambda: Router("r", **options),
        "job": lambda: Router[object]("r").job(**options)(_job),
    }
    with pytest.raises(InvalidOption):
        builds[level]()


@pytest.mark.parametrize(
    "options",
    [
        {"tags": "urgent"},  # six tags of one letter
        {"tags": None},
        {"tags": 5},
        {"tags": [[]]},
        {"tags": [str(n) for n in range(101)]},  # found out by the store, for a cron by its worker
        {"metadata": {str(n): "" for n in range(101)}},
        {"unique": "key"},
        {"unique": True},
    ],
    ids=str,
)
def test_wrong_values_are_refused_where_they_are_written(options: Any) -> None:
    with pytest.raises(InvalidOption):
        Router("r", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": "10"},
        {"concurrency": 1.5},
        {"queues": 5},
        {"queues": {"a": "1"}},
        {"queues": {"a": 1.5}},
    ],
    ids=str,
)
def test_wrong_worker_options_are_refused(options: Any) -> None:
    with pytest.raises(InvalidOption):
        WorkerOptions(**options)


def test_queues_may_be_any_iterable() -> None:
    # The check uses the generator up, and the worker serves no queue at all.
    assert WorkerOptions(queues=(q for q in ("a", "b"))).limits([]) == {"a": 10, "b": 10}


@pytest.mark.parametrize("options", [{"factor": "2"}, {"jitter": "x"}])
def test_wrong_parts_of_a_backoff_are_refused(options: Any) -> None:
    with pytest.raises(InvalidOption):
        Exponential(1.0, **options)


@pytest.mark.parametrize("at", ["2030-01-01T00:00:00Z", 5, None, datetime(2030, 1, 1).date()])  # noqa: DTZ001
async def test_an_at_that_is_no_datetime_is_refused_with_the_way(at: Any) -> None:
    router = Router[object]("r")
    router.job(name="job")(_job)
    async with Stoker("memory://", jobs=[router]) as app:
        with pytest.raises(InvalidTime):
            await app.jobs.r.schedule("job", None, {"at": at})


def test_one_router_in_place_of_a_list_is_refused_with_the_way() -> None:
    router: Any = Router("r")
    with pytest.raises(ConfigurationError, match=r"\[.*\]"):
        Stoker("memory://", jobs=router)


def test_worker_options_of_the_wrong_type_are_refused_when_the_app_is_built() -> None:
    wrong: Any = {"concurrency": 3}
    with pytest.raises(ConfigurationError):
        Stoker("memory://", jobs=[], autostart_worker=wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"tags": [str(n) for n in range(101)]},
        {"unique": Unique(lambda p: p["id"])},
        {"name": "n" * 300},
    ],
    ids=["tags", "unique", "name"],
)
async def test_a_recurring_job_with_wrong_options_is_refused_when_the_app_is_built(
    options: Any, clock: ManualClock
) -> None:
    router = Router[object]("r")
    try:
        router.every(60, **options)(_job)
        app = Stoker("memory://", jobs=[router], clock=clock)
    except ConfigurationError:
        return
    async with app:
        await app.run_until_idle()
        await clock.advance(60)
        await app.run_until_idle()


class Login(BaseModel):
    password: SecretStr


class Partly(BaseModel):
    shown: int = 1
    hidden: int = Field(0, exclude=True)


class Derived(Partly):
    more: int = 2


@pytest.mark.parametrize(
    ("annotation", "payload"),
    [
        (Login, Login(password=SecretStr("hunter2"))),  # stored as "**********"
        (Partly, Derived(hidden=0, more=3)),
        (float | None, float("nan")),
        (dict, {"n": float("inf")}),
        (Any, {"when": datetime(2030, 1, 1, tzinfo=UTC)}),  # arrives as text
        (Any, (1, 2)),
        (Any, b"bytes"),
    ],
    ids=repr,
)
async def test_a_payload_arrives_as_it_was_scheduled_or_is_refused(
    annotation: Any, payload: Any
) -> None:
    arrived: list[Any] = []
    router = Router[object]("r")

    @router.job
    async def job(payload: annotation) -> None:
        arrived.append(payload)

    async with Stoker("memory://", jobs=[router]) as app:
        try:
            await app.schedule(job, payload)
        except InvalidPayload:
            return
        await app.run_until_idle()
    assert arrived == [payload]


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    x: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return self.x * 2


@pytest.mark.parametrize(
    ("annotation", "result"), [(int, None), (Computed, Computed(x=1))], ids=["none", "computed"]
)
async def test_a_result_is_readable_or_the_job_fails(annotation: Any, result: Any) -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> annotation:
        return result

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        try:
            assert await handle.result(1) == result
        except ResultError:
            assert await handle.status() is JobState.FAILED


async def test_a_result_that_no_store_keeps_is_an_error_and_not_none() -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> int:
        return 3

    async with Stoker(SpyDriver(without=[Capability.RESULTS]), jobs=[router]) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        with pytest.raises(ResultError):
            await handle.result(1)


def test_ids_are_in_the_order_of_their_creation() -> None:
    ids = [new_id() for _ in range(2000)]
    assert ids == sorted(ids)


async def test_many_jobs_run_in_the_order_of_their_calls() -> None:
    router = Router[object]("r")
    ran: list[int] = []

    @router.job
    async def job(payload: int) -> None:
        ran.append(payload)

    async with Stoker("memory://", jobs=[router]) as app:
        await app.schedule_many(job.call(n) for n in range(20))
        await app.run_until_idle(concurrency=1)
    assert ran == list(range(20))


async def test_a_definition_in_two_routers_is_scheduled_where_it_was_asked_for_or_refused() -> None:
    shared = jobs.register(handler=_job)
    routers = [jobs.router(namespace=n, jobs={"x": shared}) for n in ("a", "b")]
    try:
        app = Stoker("memory://", jobs=routers)
    except DuplicateName:
        return
    async with app:
        assert (await app.jobs.a.schedule("x")).name == "a.x"
        with pytest.raises(UnknownJob):
            await app.schedule(shared)


async def test_a_hook_that_is_added_late_is_heard_or_refused() -> None:
    router = Router[object]("r")
    heard: list[str] = []
    router.job(name="job")(_job)
    app = Stoker("memory://", jobs=[router])
    try:
        router.on_complete(lambda run: heard.append("complete"))
    except ConfigurationError:
        return
    async with app:
        await app.jobs.r.schedule("job")
        await app.run_until_idle()
    assert heard == ["complete"]


async def test_progress_hooks_of_a_def_handler_are_over_before_its_last_hooks() -> None:
    router = Router[object]("r")
    heard: list[str] = []

    @router.job
    def job(payload: None, context: object, run: JobRun) -> None:
        _ = run.progress(50)

    @router.on_progress
    async def progressed(run: JobRun, progress: object) -> None:
        await turns()
        heard.append("progress")

    @router.on_complete
    def completed(run: JobRun) -> None:
        heard.append("complete")

    async with Stoker("memory://", jobs=[router], context=1) as app:
        await app.schedule(job)
        await app.run_until_idle()
    assert heard == ["progress", "complete"]


def test_passwords_are_masked_wherever_they_stand() -> None:
    assert mask("redis://user:pa@ss@host/0") == "redis://user:***@host/0"
    assert "secret" not in mask("postgres://host/db?user=a&password=secret")
    with pytest.raises(UnknownScheme) as caught:
        driver_for("redis:/user:secret@host")  # one slash is missing
    assert "secret" not in str(caught.value)


def test_a_prefix_and_a_queue_can_be_told_apart() -> None:
    with pytest.raises(InvalidOption, match="a colon stands between prefix and queue"):
        Router("r", queue="b:c")
    with pytest.raises(InvalidOption, match="a colon stands between prefix and queue"):
        Stoker("memory://", jobs=[], prefix="a:b")


async def test_an_app_without_a_prefix_does_not_see_the_jobs_of_those_with_one() -> None:
    driver = SpyDriver()
    router = Router[object]("r")
    job = router.job(name="job")(_job)
    tenant, plain = Stoker(driver, jobs=[router], prefix="a"), Stoker(driver.clone(), jobs=[router])
    async with tenant, plain:
        await tenant.schedule(job)
        assert await plain.scheduled(job) == []


@pytest.mark.parametrize("annotation", ["asyncio.Missing", "not an annotation", "1 / 0"])
def test_any_annotation_that_cannot_be_resolved_is_an_invalid_handler(annotation: str) -> None:
    async def job(payload: object) -> None: ...

    job.__annotations__["payload"] = annotation
    with pytest.raises(InvalidHandler):
        Router[object]("r").job(job)


def test_a_run_in_the_place_of_the_context_is_refused() -> None:
    async def job(payload: int, run: JobRun) -> None: ...

    with pytest.raises(InvalidHandler):
        Router[Any]("r").job(job)


def test_a_declared_job_takes_its_name_from_its_key() -> None:
    jobs.router(namespace="r", jobs={"x": jobs.register(handler=lambda: 1)})


async def test_a_payload_with_a_default_is_still_a_payload() -> None:
    router = Router[object]("r")

    @router.job
    async def job(payload: int = 5) -> int:
        return payload

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(job, 3)  # the type checkers accept it
        await app.run_until_idle()
        assert await handle.result(1) == 3


def test_a_model_that_is_not_complete_is_refused_when_the_job_is_defined() -> None:
    class Incomplete(BaseModel):
        x: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(InvalidHandler):
        Router[object]("r").job(name="job")(_takes(Incomplete))


def _takes(annotation: Any) -> Any:
    async def job(payload: annotation) -> None: ...

    return job


def test_waiting_nothing_stays_nothing() -> None:
    assert Exponential(0)(2000) == timedelta(0)  # a century


async def test_a_backoff_with_a_jitter_out_of_range_costs_the_job_no_attempt() -> None:
    class Own:
        jitter = 50

        def __call__(self, _: int) -> float:
            return 10.0

    router = Router[object]("r", attempts=3, backoff=Own())

    @router.job
    async def job() -> None:
        raise ValueError

    async with Stoker("memory://", jobs=[router], random=Random(1)) as app:
        handle = await app.schedule(job)
        await app.run_until_idle()
        assert await handle.status() is JobState.SCHEDULED


async def test_a_second_worker_of_one_app_has_a_client_of_its_own() -> None:
    # On the same client, its listener would be a second waiter, and the worker would die.
    stop = asyncio.Event()
    async with Stoker("memory://", jobs=[Router("r")], autostart_worker=True) as app:
        second = asyncio.create_task(app.run_worker(stop=stop))
        async with asyncio.timeout(5):
            while not await _two_workers(app):  # noqa: ASYNC110  the store has no event for it
                await asyncio.sleep(0)
        stop.set()
        await within(second)


async def _two_workers(app: Stoker[Any]) -> bool:
    return len(await cast("Presence", app.driver).workers()) == 2


async def test_opening_an_app_twice_at_once_starts_one_worker() -> None:
    class Slow(SpyDriver):
        async def open(self) -> None:
            await asyncio.sleep(0)
            await super().open()

    driver = Slow()
    app = Stoker(driver, jobs=[], autostart_worker=True)
    await asyncio.gather(app.open(), app.open())
    await turns()
    assert len(await driver.workers()) == 1
    await soon(app.close())


async def test_an_unknown_namespace_is_no_attribute() -> None:
    assert not hasattr(Stoker("memory://", jobs=[]).jobs, "nothing")


async def test_handlers_that_a_crashed_worker_interrupts_clean_up_before_the_app_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = Router[object]("r", backoff=Fixed(1))
    started = asyncio.Event()
    events: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[int]:
        yield 1
        events.append("lifespan left")

    @router.job
    async def job() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
            events.append("cleaned")

    driver = SpyDriver()
    app = Stoker(
        driver, jobs=[router], lifespan=lifespan, autostart_worker=WorkerOptions(concurrency=2)
    )
    await app.open()
    await app.schedule(job)
    await soon(started.wait())
    driver.raises_always["claim"] = RuntimeError("a defect")
    await app.schedule(job)
    await until(lambda: "died" in caplog.text)
    with pytest.raises(WorkerCrashed):
        await within(app.close())
    assert events == ["cleaned", "lifespan left"]
