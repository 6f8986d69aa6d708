"""Hooks: who hears what, in which order."""

import logging
from typing import Any

import pytest

from stoker import JobOptions, JobRun, Progress, Router, Stoker
from stoker.errors import InvalidHandler
from stoker.router import Catalogue, Event, Hooks


def test_hooks_are_called_in_the_order_of_their_registration() -> None:
    hooks = Hooks()

    def first(_: object) -> None: ...

    async def second(_: object) -> None: ...

    hooks.add(Event.START, first)
    hooks.add(Event.START, second)
    assert hooks.get(Event.START) == (first, second)
    assert hooks.get(Event.COMPLETE) == ()


@pytest.mark.parametrize("event", list(Event))
def test_decorators_of_router_and_job_return_the_function_and_register_it(event: Event) -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> None: ...

    def one(_: object) -> None: ...
    def two(_: object, __: object) -> None: ...

    hook: Any = one if len(event.parameters) == 1 else two
    assert getattr(router, event.value)(hook) is hook
    assert getattr(job, event.value)(hook) is hook
    assert router.hooks.get(event) == job.hooks.get(event) == (hook,)


def test_a_jobs_hooks_come_before_its_routers_and_events_without_hooks_are_left_out() -> None:
    router = Router[object]("r")

    @router.job
    async def job() -> None: ...

    @router.on_complete
    def routers(_: JobRun) -> None: ...

    @job.on_complete
    def jobs(_: JobRun) -> None: ...

    entry = Catalogue([router], JobOptions()).named("r.job")
    assert entry.hooks == {Event.COMPLETE: (jobs, routers)}


def optional(_: object, __: object = None, ___: object = None) -> None: ...


def greedy(*_: object) -> None: ...


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("hook", [optional, greedy])
def test_a_hook_that_can_be_called_is_a_hook(event: Event, hook: Any) -> None:
    Hooks().add(event, hook)


def keyword_only(_: object, *, result: object) -> None: ...


@pytest.mark.parametrize("hook", [5, "log", None, lambda: None, keyword_only])
def test_what_cannot_be_called_with_the_events_parameters_is_refused(hook: Any) -> None:
    with pytest.raises(InvalidHandler) as caught:
        Hooks().add(Event.SUCCESS, hook)
    assert "cannot be a hook for on_success: it is called with (job, result)" in str(caught.value)


async def test_hooks_of_both_kinds_get_the_run_its_context_and_the_detail() -> None:
    heard: list[tuple[Any, ...]] = []
    router = Router[str]("r")

    @router.job
    async def job(payload: int, context: str, run: JobRun) -> int:
        await run.progress(50, "half")
        return payload * 2

    @job.on_start
    def started(run: JobRun) -> None:
        heard.append(("start", run.payload, run.context, run.name))

    @job.on_progress
    async def progressed(run: JobRun, progress: Progress) -> None:
        heard.append(("progress", progress.percent, progress.message))

    @job.on_success
    async def succeeded(run: JobRun, result: int) -> None:
        heard.append(("success", result))

    @router.on_complete
    def completed(run: JobRun) -> None:
        heard.append(("complete", run.attempt))

    async with Stoker("memory://", jobs=[router], context="the context") as app:
        await app.schedule(job, 3)
        await app.run_until_idle()
    assert heard == [
        ("start", 3, "the context", "r.job"),
        ("progress", 50, "half"),
        ("success", 6),
        ("complete", 1),
    ]


async def test_an_error_in_a_hook_is_logged_and_costs_neither_the_job_nor_the_next_hook(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = Router[object]("r")
    heard: list[str] = []

    @router.job
    async def job() -> int:
        return 1

    def broken(run: JobRun, result: object = None) -> None:
        raise RuntimeError("the hook broke")

    job.on_start(broken)
    job.on_success(broken)

    @router.on_success
    def fine(run: JobRun, result: object) -> None:
        heard.append("fine")

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(job)
        with caplog.at_level(logging.ERROR, "stoker.worker"):
            await app.run_until_idle()
        assert await handle.result(1) == 1
    assert heard == ["fine"]
    logged = [record.getMessage() for record in caplog.records]
    assert [message.split(" of job")[0] for message in logged] == [
        "a hook for on_start",
        "a hook for on_success",
    ]
    assert "the hook broke" in caplog.text
