"""The application's context."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from packages.core.tests.support import SpyDriver, soon

from stoker import JobRun, Router, Stoker, WorkerOptions
from stoker.app.context import ABSENT, Context
from stoker.errors import ConfigurationError, MissingContext


class Life:
    """A lifespan that notes when it is entered and left."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[str]:
        self.events.append("entered")
        yield f"context {self.events.count('entered')}"
        self.events.append("left")


def router_with(seen: list[object]) -> Router[object]:
    router = Router[object]("r")

    @router.job
    async def job(payload: None, context: object) -> None:
        seen.append(context)

    return router


async def test_a_value_is_passed_as_it_is_even_none() -> None:
    for value in ({"db": 1}, None, 0):
        seen: list[object] = []
        router = router_with(seen)
        async with Stoker("memory://", jobs=[router], context=value) as app:
            await app.jobs.r.schedule("job")
            await app.run_until_idle()
        assert seen == [value]
        assert seen[0] is value


async def test_a_lifespan_is_not_entered_by_a_process_that_only_schedules() -> None:
    life = Life()
    async with Stoker("memory://", jobs=[router_with([])], lifespan=life) as app:
        await app.jobs.r.schedule("job")
        assert await app.search() is not None
    assert life.events == []


async def test_a_lifespan_is_entered_once_where_jobs_run_and_left_on_close() -> None:
    life, seen = Life(), list[object]()
    app = Stoker("memory://", jobs=[router_with(seen)], lifespan=life)
    async with app:
        for _ in range(3):
            await app.jobs.r.schedule("job")
            await app.run_until_idle()
        assert life.events == ["entered"]
    assert life.events == ["entered", "left"]
    assert seen == ["context 1"] * 3


async def test_a_lifespan_is_entered_again_after_the_app_was_closed() -> None:
    life, seen = Life(), list[object]()
    app = Stoker("memory://", jobs=[router_with(seen)], lifespan=life)
    for _ in range(2):
        async with app:
            await app.jobs.r.schedule("job")
            await app.run_until_idle()
    assert life.events == ["entered", "left"] * 2
    assert seen == ["context 1", "context 2"]


async def test_a_lifespan_that_is_asked_for_twice_at_once_is_entered_once() -> None:
    life = Life()
    context = Context(ABSENT, life)
    one, other = await asyncio.gather(context.enter(), context.enter())
    assert one == other == "context 1"
    await context.leave()
    await context.leave()
    assert life.events == ["entered", "left"]


async def test_a_worker_enters_the_lifespan_and_run_worker_leaves_it() -> None:
    life, seen, stop = Life(), list[object](), asyncio.Event()
    driver = SpyDriver()
    router = router_with(seen)

    @router.on_complete
    def done(run: JobRun) -> None:
        stop.set()

    app = Stoker(driver, jobs=[router], lifespan=life, autostart_worker=WorkerOptions(grace=5))
    async with app:
        await app.jobs.r.schedule("job")
        await soon(stop.wait())
        assert life.events == ["entered"]
    assert life.events == ["entered", "left"]


async def test_an_error_while_entering_is_not_the_end_the_next_try_enters_again() -> None:
    tries: list[int] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[str]:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("no database")
        yield "context"

    seen: list[object] = []
    async with Stoker("memory://", jobs=[router_with(seen)], lifespan=lifespan) as app:
        await app.jobs.r.schedule("job")
        with pytest.raises(RuntimeError, match="no database"):
            await app.run_until_idle()
        await app.run_until_idle()
    assert seen == ["context"]


def test_a_handler_that_wants_a_context_needs_an_app_that_has_one() -> None:
    with pytest.raises(MissingContext, match=r"r.job takes the .* pass context=... or lifespan="):
        Stoker("memory://", jobs=[router_with([])])


def test_a_handler_without_context_needs_none() -> None:
    router = Router[object]("r")

    @router.job
    async def job(payload: int) -> None: ...

    Stoker("memory://", jobs=[router])


def test_context_and_lifespan_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="either context= or lifespan=, not both"):
        Stoker("memory://", jobs=[], context=None, lifespan=Life())  # type: ignore[call-overload]
