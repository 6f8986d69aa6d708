"""Scheduling by name."""

from typing import Any

import pytest
from pydantic import BaseModel

from stoker import JobState, Router, Stoker
from stoker.errors import InvalidOption, InvalidPayload, InvalidTime, UnknownJob
from stoker.testing import ManualClock


class Welcome(BaseModel):
    user_id: str


EMAILS = Router[object]("emails")
REPORTS = Router[object]("night-reports")


@EMAILS.job
async def welcome(payload: Welcome) -> str:
    return payload.user_id


@EMAILS.job
async def flush() -> None: ...


@REPORTS.job
async def monthly() -> None: ...


async def test_a_job_is_scheduled_by_namespace_and_name_with_a_plain_dictionary(
    clock: ManualClock,
) -> None:
    async with Stoker("memory://", jobs=[EMAILS, REPORTS], clock=clock) as app:
        handle = await app.jobs.emails.schedule(
            task="welcome", input={"user_id": "7"}, options={"delay": 5}
        )
        assert handle.name == "emails.welcome"
        assert await handle.status() is JobState.SCHEDULED
        await clock.advance(5)
        await app.run_until_idle()
        assert await handle.result(1) == "7"


async def test_input_and_options_may_be_left_out() -> None:
    async with Stoker("memory://", jobs=[EMAILS, REPORTS]) as app:
        assert (await app.jobs.emails.schedule("flush")).name == "emails.flush"
        assert (await app.jobs["night-reports"].schedule("monthly")).created


async def test_a_model_is_an_input_too() -> None:
    async with Stoker("memory://", jobs=[EMAILS]) as app:
        assert (await app.jobs.emails.schedule("welcome", Welcome(user_id="1"))).created


async def test_the_namespaces_can_be_listed() -> None:
    app = Stoker("memory://", jobs=[EMAILS, REPORTS])
    assert list(app.jobs) == ["emails", "night-reports"]
    assert repr(app.jobs.emails) == "<Namespace emails>"
    assert repr(app) == "<Stoker on memory: emails, night-reports>"
    assert not hasattr(app.jobs, "__nothing__")


@pytest.mark.parametrize(
    ("task", "given", "options", "error", "words"),
    [
        ("missing", {}, {}, UnknownJob, "no job 'emails.missing'; it has: emails.flush, emails.w"),
        ("welcome", None, {}, InvalidPayload, "the payload of welcome is not valid"),
        ("welcome", {"user": 1}, {}, InvalidPayload, "user_id"),
        ("flush", {"user": 1}, {}, InvalidPayload, "flush takes no input"),
        ("flush", None, {"dely": 5}, InvalidOption, "there is no option 'dely'; there are "),
        ("flush", None, {"delay": -1}, InvalidTime, "delay=-1"),
        ("flush", None, {"name": "x"}, InvalidOption, "there is no option 'name'"),
    ],
)
async def test_what_is_wrong_is_refused_before_anything_is_stored(
    task: str, given: Any, options: Any, error: type[Exception], words: str
) -> None:
    async with Stoker("memory://", jobs=[EMAILS]) as app:
        with pytest.raises(error, match=words):
            await app.jobs.emails.schedule(task, given, options)
        assert await app.queues() == []


def test_an_unknown_namespace_is_answered_with_those_that_there_are() -> None:
    app = Stoker("memory://", jobs=[EMAILS, REPORTS])
    with pytest.raises(UnknownJob, match="no namespace 'email'; it has: emails, night-reports"):
        _ = app.jobs["email"]
    with pytest.raises(AttributeError, match="it has: emails, night-reports"):
        _ = app.jobs.email
    with pytest.raises(UnknownJob, match="it has: none"):
        _ = Stoker("memory://", jobs=[]).jobs["emails"]
