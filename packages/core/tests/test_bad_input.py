"""Bad input at the level of the core: a specific error that says what to do, and nothing stored."""

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from packages.core.tests.support import SpyDriver
from pydantic import BaseModel

from stoker import Router, Stoker, WorkerOptions, errors
from stoker.testing import ManualClock


class Welcome(BaseModel):
    user_id: str


EMAILS = Router[object]("emails")


@EMAILS.job
async def send(payload: Welcome) -> None: ...


@EMAILS.job
async def anything(payload: Any) -> None: ...


@EMAILS.job
async def flush() -> None: ...


OTHER = Router[object]("other")


@OTHER.job
async def stranger() -> None: ...


App = Stoker[Any]
AWARE = datetime(2030, 1, 1, tzinfo=UTC)
NAIVE = datetime(2030, 1, 1)  # noqa: DTZ001

CALLS: dict[str, tuple[Callable[[App], Awaitable[object]], type[Exception], str]] = {
    "delay together with at": (
        lambda app: app.schedule(flush, delay=5, at=AWARE),
        errors.InvalidTime,
        "give either delay= or at=, not both",
    ),
    "unknown job": (
        lambda app: app.schedule(stranger),
        errors.UnknownJob,
        "pass its router in Stoker",
    ),
    "unknown job by name": (
        lambda app: app.jobs.emails.schedule("sned"),
        errors.UnknownJob,
        "it has: emails.anything, emails.flush, emails.send",
    ),
    "unknown namespace": (
        lambda app: app.jobs["mails"].schedule("send"),
        errors.UnknownJob,
        "it has: emails",
    ),
    "payload that does not validate": (
        lambda app: app.jobs.emails.schedule("send", {"user": "1"}),
        errors.InvalidPayload,
        r"the payload of send is not valid: [\s\S]*user_id",
    ),
    "payload for a job without input": (
        lambda app: app.jobs.emails.schedule("flush", 5),
        errors.InvalidPayload,
        "flush takes no input, and was given 5",
    ),
    "missing payload": (
        lambda app: app.jobs.emails.schedule("send"),
        errors.InvalidPayload,
        "the payload of send is not valid",
    ),
    "payload that cannot be serialised": (
        lambda app: app.schedule(anything, object()),
        errors.InvalidPayload,
        "use types that pydantic can serialise, or pass a reference",
    ),
    "payload that is too large": (
        lambda app: app.schedule(anything, "x" * 2_000_000),
        errors.PayloadTooLarge,
        "store large data elsewhere and pass a reference",
    ),
    "naive datetime": (
        lambda app: app.schedule(flush, at=NAIVE),
        errors.InvalidTime,
        "give it a time zone, for example",
    ),
    "naive expiry": (
        lambda app: app.schedule(flush, expires=NAIVE),
        errors.InvalidTime,
        "give it a time zone, for example",
    ),
    "time that no store can keep": (
        lambda app: app.schedule(flush, at=datetime(2300, 1, 1, tzinfo=UTC)),
        errors.InvalidInput,
        "too far away: no later than 2250",
    ),
    "negative delay": (
        lambda app: app.schedule(flush, delay=-1),
        errors.InvalidTime,
        "give zero or more seconds.*for a point in time use at=",
    ),
    "delay that is no number": (
        lambda app: app.schedule(flush, delay=math.nan),
        errors.InvalidTime,
        "give zero or more seconds",
    ),
    "option out of range": (
        lambda app: app.schedule(flush, attempts=0),
        errors.InvalidOption,
        "give a whole number from 1 to 1,000,000",
    ),
    "unknown option": (
        lambda app: app.schedule(flush, dely=5),  # type: ignore[call-overload]
        errors.InvalidOption,
        "there is no option 'dely'; there are at, attempts",
    ),
    "job id that cannot be kept": (
        lambda app: app.schedule(flush, job_id="a\0b"),
        errors.InvalidOption,
        "1 to 255 bytes of text, no control characters",
    ),
    "one wrong call among good ones": (
        lambda app: app.schedule_many([flush.call(), flush.call(delay=-1)]),
        errors.InvalidTime,
        "give zero or more seconds",
    ),
    "tags beyond number": (
        lambda app: app.schedule(flush, tags=[str(n) for n in range(101)]),
        errors.InvalidOption,
        "101 tags: a job has at most 100",
    ),
    "connection for a driver without transactions": (
        lambda app: app.schedule(flush, connection=object()),
        errors.Unsupported,
        "connection= needs a driver with the capability 'transactional'",
    ),
}


@pytest.mark.parametrize("what", CALLS)
async def test_a_bad_call_is_refused_and_nothing_is_stored(what: str, driver: SpyDriver) -> None:
    call, error, words = CALLS[what]
    async with Stoker(driver, jobs=[EMAILS]) as app:
        with pytest.raises(error, match=words) as caught:
            await call(app)
        assert type(caught.value) is error
        assert await app.queues() == []
        assert "claim" not in driver.calls


async def test_an_app_that_was_not_opened_says_how(driver: SpyDriver) -> None:
    app = Stoker(driver, jobs=[EMAILS])
    with pytest.raises(errors.NotOpen, match=r"'async with app:', or call 'await app.open"):
        await app.schedule(flush)
    assert driver.calls == {}


def four(a: int, b: object, c: object, d: int) -> None: ...


def needy(payload: int, context: object) -> None: ...


def needy_router() -> Router[object]:
    router = Router[object]("needy")
    router.job(needy)
    return router


def router_twice() -> Router[object]:
    router = Router[object]("r")
    router.job(name="job")(flush.__wrapped__)
    router.job(name="job")(flush.__wrapped__)
    return router


BUILDS: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "unknown scheme": (
        lambda: Stoker("carrier://pigeon", jobs=[]),
        errors.UnknownScheme,
        r"installed: .*memory://.*install the package of that driver",
    ),
    "no url at all": (
        lambda: Stoker("jobs.db", jobs=[]),
        errors.UnknownScheme,
        "write for example 'sqlite:///jobs.db', or pass a driver",
    ),
    "heartbeat longer than a third of the lease": (
        lambda: WorkerOptions(lease=30, heartbeat=11),
        errors.InvalidOption,
        "Shorten the heartbeat or lengthen the lease",
    ),
    "duplicate job names": (
        router_twice,
        errors.DuplicateName,
        "give one of them another name=",
    ),
    "two routers with one namespace": (
        lambda: Stoker("memory://", jobs=[Router("r"), Router("r")]),
        errors.DuplicateName,
        "give one of them another one, or rename it with jobs.merge",
    ),
    "a handler with too many parameters": (
        lambda: Router[object]("r").job(four),  # type: ignore[arg-type]
        errors.InvalidHandler,
        r"takes 4 parameters: a handler takes \(\), \(payload\)",
    ),
    "a context missing when a handler wants it": (
        lambda: Stoker("memory://", jobs=[needy_router()]),
        errors.MissingContext,
        "pass context=... or lifespan=... to Stoker",
    ),
    "an option out of range in the app's defaults": (
        lambda: Stoker("memory://", jobs=[], defaults={"priority": 10}),
        errors.InvalidOption,
        "give a whole number from 0 to 9",
    ),
    "a worker on a clock that stands still": (
        lambda: Stoker("memory://", jobs=[], clock=ManualClock(), autostart_worker=True),
        errors.ConfigurationError,
        r"call await app.run_until_idle\(\)",
    ),
}


@pytest.mark.parametrize("what", BUILDS)
def test_what_is_put_together_wrongly_is_refused_when_it_is_built(what: str) -> None:
    build, error, words = BUILDS[what]
    with pytest.raises(error, match=words) as caught:
        build()
    assert type(caught.value) is error


async def test_a_result_that_cannot_be_serialised_fails_its_job_with_the_reason() -> None:
    router = Router[object]("r")

    @router.job(attempts=3)
    async def opaque() -> object:
        return object()

    async with Stoker("memory://", jobs=[router]) as app:
        handle = await app.schedule(opaque)
        assert await app.run_until_idle() == 1
        with pytest.raises(errors.JobFailed, match=r"UnserializableResult: .*cannot be written as"):
            await handle.result(1)
