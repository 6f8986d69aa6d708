"""The declarative form."""

from typing import Any

import pytest
from pydantic import BaseModel

from stoker import JobOptions, Router, Stoker, jobs
from stoker.errors import (
    ConfigurationError,
    DuplicateName,
    InvalidHandler,
    InvalidOption,
    InvalidPayload,
)
from stoker.router import Catalogue, Event


class Welcome(BaseModel):
    user_id: str


async def send(payload: Any) -> str:
    return f"sent to {payload.user_id}"


async def plain() -> None: ...


def hook_of_one(_: object) -> None: ...


def hook_of_two(_: object, __: object) -> None: ...


async def test_the_whole_declarative_form_runs() -> None:
    heard: list[str] = []
    emails = jobs.router(
        namespace="emails",
        jobs={"welcome": jobs.register(input=Welcome, handler=send, attempts=3)},
        on_success=lambda job, result: heard.append(f"{job.name}: {result}"),
    )
    async with Stoker("memory://", jobs=jobs.merge({"mail": emails})) as app:
        handle = await app.jobs.mail.schedule("welcome", {"user_id": "7"})
        assert await app.run_until_idle() == 1
        assert await handle.result(1) == "sent to 7"
    assert heard == ["mail.welcome: sent to 7"]


def test_the_input_given_wins_over_the_annotation() -> None:
    job = jobs.register(input=Welcome, handler=send)
    assert job.encode({"user_id": "1"})[0] == Welcome(user_id="1")


def test_without_an_input_the_annotation_decides() -> None:
    async def handler(payload: Welcome) -> None: ...

    job = jobs.register(handler=handler)
    assert job.takes_payload
    with pytest.raises(InvalidPayload):
        job.encode({})


def test_an_input_of_none_is_no_input() -> None:
    job = jobs.register(input=None, handler=send)
    assert not job.takes_payload
    with pytest.raises(InvalidPayload, match="takes no input, and was given 5"):
        job.encode(5)


def test_the_key_is_the_jobs_name_and_wins_over_the_namespace() -> None:
    emails = jobs.router(namespace="emails", jobs={"hello": jobs.register(handler=plain)})
    assert [entry.name for entry in Catalogue([emails], JobOptions())] == ["emails.hello"]
    merged = jobs.merge({"post": emails}, other=Router("unused"))
    assert [entry.name for entry in Catalogue(merged, JobOptions())] == ["post.hello"]
    assert set(merged) == {"post", "other"}


def test_options_of_the_register_form_are_the_jobs_and_those_of_the_router_are_weaker() -> None:
    emails = jobs.router(
        namespace="emails",
        jobs={"a": jobs.register(handler=plain, attempts=3), "b": jobs.register(handler=plain)},
        attempts=2,
        timeout=9,
    )
    named = {entry.job.name: entry for entry in Catalogue([emails], JobOptions())}
    assert len(named) == 1  # both definitions are called after their function
    entries = Catalogue([emails], JobOptions())
    assert entries.named("emails.a").settings.attempts == 3
    assert entries.named("emails.b").settings.attempts == 2
    assert entries.named("emails.a").options == {"attempts": 3, "timeout": 9}


@pytest.mark.parametrize("event", list(Event))
def test_every_hook_can_be_given_to_a_job_and_to_a_router(event: Event) -> None:
    hook = hook_of_one if len(event.parameters) == 1 else hook_of_two
    given: dict[str, Any] = {event.value: hook}
    job = jobs.register(handler=plain, **given)
    assert job.hooks.get(event) == (hook,)
    assert [other for other in Event if job.hooks.get(other)] == [event]
    router = jobs.router(namespace="r", jobs={"job": job}, **given)
    assert router.hooks.get(event) == (hook,)
    assert Catalogue([router], JobOptions()).named("r.job").hooks == {event: (hook, hook)}


@pytest.mark.parametrize("event", list(Event))
def test_a_hook_with_the_wrong_parameters_is_refused(event: Event) -> None:
    wrong = hook_of_two if len(event.parameters) == 1 else hook_of_one
    given: dict[str, Any] = {event.value: wrong}
    with pytest.raises(InvalidHandler, match=f"cannot be a hook for {event.value}"):
        jobs.register(handler=plain, **given)
    with pytest.raises(InvalidHandler, match=f"cannot be a hook for {event.value}"):
        jobs.router(namespace="r", jobs={}, **given)


def test_wrong_parts_are_refused_with_the_right_way() -> None:
    wrong: Any = plain
    with pytest.raises(ConfigurationError, match=r"jobs\['a'\] is .*: make it with jobs.register"):
        jobs.router(namespace="r", jobs={"a": wrong})
    with pytest.raises(InvalidHandler, match="cannot be the name of a job"):
        jobs.router(namespace="r", jobs={"a.b": jobs.register(handler=plain)})
    with pytest.raises(InvalidHandler, match="cannot be the name of a router"):
        jobs.router(namespace="a b", jobs={})
    with pytest.raises(InvalidOption, match="there is no option 'atempts'"):
        jobs.register(handler=plain, atempts=3)  # type: ignore[call-arg]
    with pytest.raises(InvalidOption, match="attempts=0"):
        jobs.router(namespace="r", jobs={}, attempts=0)
    with pytest.raises(DuplicateName, match="the namespace 'a' is given twice"):
        jobs.merge({"a": Router("x")}, a=Router("y"))
    not_a_router: Any = "emails"
    with pytest.raises(ConfigurationError, match="jobs= takes routers, and was given 'emails'"):
        Stoker("memory://", jobs=jobs.merge({"a": not_a_router}))
