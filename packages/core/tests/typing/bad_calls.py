# mypy: ignore-errors
# ruff: noqa: F821, T201
"""Calls that mypy --strict and pyright must both refuse, each where its mark is.

`test_typing.py` takes the first line away and compares. A mark stands where the checker reports.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pydantic import BaseModel

from stoker import Every, JobHandle, JobOptions, JobRun, Progress, Router, Stoker, WorkerOptions
from stoker.testing import assert_scheduled


class App:
    greeting = "hello"


class Other:
    pass


class Welcome(BaseModel):
    user_id: str


emails = Router[App]("emails")
plain = Router[object]("plain")


@emails.job
async def send(payload: Welcome, context: App, job: JobRun) -> int:
    return 1


@plain.job
async def flush() -> str:
    return ""


@plain.job
def threaded(payload: int) -> float:
    return payload / 2


app = Stoker("memory://", jobs=[emails, plain], context=App())
welcome = Welcome(user_id="1")
run: JobRun


async def schedule() -> None:
    await app.schedule(send, "someone")  # E: mypy, pyright
    await app.schedule(send, 5, delay=1)  # E: mypy, pyright
    await app.schedule(send)  # E: mypy, pyright
    await app.schedule(send, delay=5)  # E: mypy, pyright
    await app.schedule(send, None)  # E: mypy, pyright
    await app.schedule(flush, welcome)  # E: mypy, pyright
    await app.schedule(threaded, "3")  # E: mypy, pyright
    await app.schedule(send, welcome, dely=5)  # E: mypy, pyright
    await app.schedule(send, welcome, delay="soon")  # E: mypy, pyright
    await app.schedule(send, welcome, at=5)  # E: mypy, pyright
    await app.schedule(send, welcome, attempts="3")  # E: mypy, pyright
    await app.schedule(send, welcome, queue=None)  # E: mypy, pyright
    await app.schedule(send, welcome, priority="high")  # E: mypy, pyright
    await app.schedule(send, welcome, backoff=5)  # E: mypy, pyright
    await app.schedule(send, welcome, retry_on="ValueError")  # E: mypy, pyright
    await app.schedule(send, welcome, tags=5)  # E: mypy, pyright
    await app.schedule(send, welcome, metadata={"k": 5})  # E: mypy, pyright
    await app.schedule(send, welcome, unique="key")  # E: mypy, pyright
    await app.schedule(send, welcome, job_id=5)  # E: mypy, pyright
    await app.schedule(send, welcome, name="other")  # E: mypy, pyright
    await app.schedule(print)  # E: mypy, pyright
    await app.schedule("emails.send", welcome)  # E: mypy, pyright
    await app.schedule(send.call(welcome), welcome)  # E: mypy, pyright
    await app.schedule(send.call(welcome), delay=5)  # E: mypy, pyright
    await app.schedule_many([send])  # E: mypy, pyright
    await app.schedule_many(send.call(welcome))  # E: mypy, pyright
    await run.app.schedule(send, "someone")  # E: mypy, pyright
    await run.app.schedule(send)  # E: mypy, pyright


async def call() -> None:
    send.call("someone")  # E: mypy, pyright
    send.call()  # E: mypy, pyright
    flush.call(welcome)  # E: mypy, pyright
    send.call(welcome, dely=5)  # E: mypy, pyright
    send.call(welcome, delay=datetime.now(UTC))  # E: mypy, pyright


async def results() -> None:
    handle = await app.schedule(send, welcome)
    wrong: JobHandle[str] = handle  # E: mypy, pyright
    text: str = await handle.result()  # E: mypy, pyright
    number: int = await (await app.schedule(flush)).result()  # E: mypy, pyright
    await handle.result(timeout="long")  # E: mypy, pyright
    found = await app.scheduled(send)
    payload: str = found[0][0]  # E: mypy, pyright
    print(wrong, text, number, payload)


async def direct() -> None:
    await send(welcome)  # E: mypy, pyright
    await send("someone", App(), run)  # E: mypy, pyright
    await send(welcome, Other(), run)  # E: mypy, pyright
    threaded("3")  # E: mypy, pyright
    await flush(welcome)  # E: mypy, pyright


def handlers() -> None:
    @emails.job  # E: mypy, pyright
    async def wrong_context(payload: Welcome, context: Other) -> None: ...

    @emails.job  # E: mypy, pyright
    async def four(payload: Welcome, context: App, job: JobRun, more: int) -> None: ...

    @emails.job  # E: mypy, pyright
    async def run_second(payload: Welcome, job: JobRun) -> None: ...

    @plain.job  # E: mypy, pyright
    async def wants_context(payload: Welcome, context: App) -> None: ...

    @emails.job(attempts=3)  # E: mypy, pyright
    async def still_wrong_context(payload: Welcome, context: Other) -> None: ...

    @emails.job(atempts=3)  # E: mypy, pyright
    async def misspelt(payload: Welcome) -> None: ...

    @emails.job(attempts="3")  # E: mypy, pyright
    async def mistyped(payload: Welcome) -> None: ...

    @emails.job(delay=5)  # E: mypy, pyright
    async def of_a_call(payload: Welcome) -> None: ...

    @emails.cron("* * * * *")  # E: mypy, pyright
    async def greedy(payload: Welcome) -> None: ...

    @emails.every("often")  # E: mypy, pyright
    async def often() -> None: ...


def hooks() -> None:
    @emails.on_success  # E: mypy, pyright
    async def too_few(job: JobRun) -> None: ...

    @emails.on_start  # E: mypy, pyright
    async def too_many(job: JobRun, result: object) -> None: ...

    @emails.on_failure  # E: mypy, pyright
    async def wrong_error(job: JobRun, error: str) -> None: ...

    @emails.on_progress  # E: mypy, pyright
    def wrong_progress(job: JobRun, progress: int) -> None: ...

    @emails.on_complete  # E: mypy, pyright
    def returns(job: JobRun) -> int:
        return 1

    @send.on_success  # E: mypy, pyright
    async def wrong_result(job: JobRun, result: str) -> None: ...

    @send.on_retry  # E: mypy, pyright
    async def job_only(job: JobRun) -> None: ...

    @send.on_progress  # E: mypy, pyright
    def not_a_run(job: str, progress: Progress) -> None: ...


@asynccontextmanager
async def other_lifespan() -> AsyncIterator[Other]:
    yield Other()


def construction() -> None:
    Stoker("memory://", jobs=[emails])  # E: mypy, pyright
    Stoker("memory://", jobs=[emails], context=Other())  # E: mypy, pyright
    Stoker("memory://", jobs=[emails], lifespan=other_lifespan)  # E: mypy, pyright
    Stoker("memory://", jobs=emails, context=App())  # E: mypy, pyright
    Stoker("memory://", context=App())  # E: mypy, pyright
    Stoker("memory://", jobs=[plain], defaults={"atempts": 3})  # E: mypy, pyright
    Stoker("memory://", jobs=[plain], autostart_worker={"concurrency": 3})  # E: mypy, pyright
    Stoker(object(), jobs=[plain])  # E: mypy, pyright
    Router("r", atempts=3)  # E: mypy, pyright
    Router("r", delay=3)  # E: mypy, pyright
    WorkerOptions(concurency=3)  # E: mypy, pyright
    WorkerOptions(lease="long")  # E: mypy, pyright
    JobOptions(attempts="3")  # E: mypy, pyright
    JobOptions(delay=3)  # E: mypy, pyright
    Every("often")  # E: mypy, pyright


async def helpers() -> None:
    await assert_scheduled(app, send, count="one")  # E: mypy, pyright
    await assert_scheduled(app, flush, where=lambda: True)  # E: mypy, pyright
