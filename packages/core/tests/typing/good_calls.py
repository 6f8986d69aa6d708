"""Calls that mypy --strict and pyright must both accept; `test_typing.py` checks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from pydantic import BaseModel
from typing_extensions import TypedDict

from stoker import (
    CallOptions,
    Delays,
    Exponential,
    Fixed,
    JobCall,
    JobHandle,
    JobOptions,
    JobRun,
    Linear,
    OnConflict,
    Progress,
    Router,
    Stoker,
    Unique,
    Until,
    WorkerOptions,
    jobs,
)
from stoker.testing import ManualClock, assert_not_scheduled, assert_scheduled


class App:
    greeting = "hello"


class Welcome(BaseModel):
    user_id: str


class Vip(Welcome):
    level: int = 1


class Sent(BaseModel):
    count: int


class Movie(TypedDict):
    title: str


emails = Router[App]("emails", attempts=3, backoff=Exponential(1.0))
plain = Router[object]("plain")
untyped = Router("untyped")


@emails.job
async def send(payload: Welcome, context: App, job: JobRun) -> Sent:
    await job.progress(50, "half")
    await job.app.schedule(flush)
    await job.app.schedule(send, payload, delay=5)
    await job.app.schedule_many([flush.call(), send.call(payload)])
    assert_type(await (await job.app.schedule(send, payload)).result(), Sent)
    return Sent(count=1)


@emails.job(attempts=3, timeout=timedelta(seconds=30), backoff=lambda attempt: attempt * 2.0)
async def two(payload: Welcome, context: App) -> int:
    return len(context.greeting)


@emails.job()
async def one(payload: Welcome) -> str:
    return payload.user_id


@plain.job
async def flush() -> None: ...


@plain.job(name="in-a-thread", retry_on=(ValueError, KeyError))
def threaded(payload: int) -> float:
    return payload / 2


@plain.job
def threaded_none() -> int:
    return 1


@plain.job
async def movie(payload: Movie) -> None: ...


@plain.job
async def batch(payload: list[int | str]) -> None: ...


@plain.job
async def maybe(payload: Welcome | None) -> None: ...


@emails.job
async def only_context(payload: None, context: App) -> int:
    return 1


@emails.cron("0 9 * * 1-5", tz="Europe/Berlin", attempts=2)
async def morning(payload: None, context: App, job: JobRun) -> int:
    assert job.tick is not None
    return job.tick.count


@plain.every(timedelta(minutes=5))
def often() -> None: ...


@emails.on_start
def started(job: JobRun) -> None: ...


@emails.on_progress
async def progressed(job: JobRun, progress: Progress) -> None: ...


@emails.on_success
async def succeeded(job: JobRun, result: object) -> None: ...


@emails.on_failure
def failed(job: JobRun, error: BaseException) -> None: ...


@emails.on_retry
async def retried(job: JobRun, error: BaseException) -> None: ...


@emails.on_complete
async def completed(job: JobRun) -> None: ...


@send.on_success
async def sent(job: JobRun, result: Sent) -> None: ...


@send.on_success
def sent_loosely(job: JobRun, result: object) -> None: ...


@asynccontextmanager
async def lifespan() -> AsyncIterator[App]:
    yield App()


app = Stoker("memory://", jobs=[emails, plain], context=App())
also = Stoker("memory://", jobs=[emails], lifespan=lifespan, prefix="prod")
small = Stoker(
    "memory://",
    jobs=[plain, untyped],
    defaults=JobOptions(attempts=3, backoff=Delays(1, 2)),
    clock=ManualClock(),
)
worked = Stoker("memory://", jobs=[plain], autostart_worker=WorkerOptions(concurrency=2))
merged = Stoker("memory://", jobs=jobs.merge({"mail": emails, "other": plain}), context=App())
declared = jobs.router(
    namespace="declared",
    jobs={"send": jobs.register(input=Welcome, handler=send.__wrapped__, attempts=3)},
    on_success=lambda job, result: None,
    timeout=5,
)


async def calls() -> None:
    async with app:
        handle = await app.schedule(send, Welcome(user_id="1"), delay=5)
        assert_type(handle, JobHandle[Sent])
        assert_type(await handle.result(timeout=30), Sent)
        assert_type(await (await app.schedule(two, Vip(user_id="1"))).result(), int)
        assert_type(await (await app.schedule(one, Welcome(user_id="1"))).result(), str)
        assert_type(await app.schedule(flush), JobHandle[None])
        assert_type(await app.schedule(threaded, 3), JobHandle[float])
        assert_type(await app.schedule(threaded_none, priority=9), JobHandle[int])
        assert_type(await app.schedule(only_context), JobHandle[int])
        assert_type(await app.schedule(morning), JobHandle[int])
        await app.schedule(maybe, None)
        await app.schedule(maybe, Welcome(user_id="1"))

        assert_type(send.call(Welcome(user_id="1")), JobCall[Sent])
        assert_type(await app.schedule(send.call(Welcome(user_id="1"), delay=5)), JobHandle[Sent])
        await app.schedule(movie.call({"title": "Alien"}))
        await app.schedule(batch.call([1, "a"]), connection=None)

        mixed = [send.call(Welcome(user_id="1")), flush.call(), threaded.call(3)]
        many = await app.schedule_many(mixed)
        assert_type(len(many), int)
        same = await app.schedule_many(two.call(Welcome(user_id=str(n))) for n in range(3))
        assert_type(same, list[JobHandle[int]])

        await app.schedule(
            flush,
            at=datetime.now(UTC),
            job_id="mine",
            attempts=5,
            backoff=Linear(5),
            retry_on=ValueError,
            timeout=None,
            expires=timedelta(hours=1),
            priority=9,
            queue="other",
            max_crashes=1,
            keep_completed=False,
            keep_failed=60,
            keep_cancelled=True,
            unique=Unique("k", until=Until.START, on_conflict=OnConflict.REPLACE),
            tags=["a"],
            metadata={"k": "v"},
        )
        options: CallOptions = {"delay": 5, "backoff": Fixed(1)}
        await app.schedule(flush, **options)
        by_name = await app.jobs.emails.schedule("send", {"user_id": "1"}, {"delay": 5})
        assert_type(by_name, JobHandle[Any])
        found = await app.scheduled(send)
        assert_type(found[0][0], Welcome)
        assert_type(app.handle(send, "1"), JobHandle[Sent])
        await assert_scheduled(app, send, Welcome(user_id="1"), count=1)
        await assert_not_scheduled(app, flush)

    assert_type(await send(Welcome(user_id="1"), App(), run()), Sent)
    assert_type(await two(Welcome(user_id="1"), App()), int)
    assert_type(threaded(3), float)
    assert_type(await flush(), None)


def run() -> JobRun:
    raise NotImplementedError
