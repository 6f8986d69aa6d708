"""The jobs of one app."""

from typing import Any

import pytest

from stoker import JobOptions, Router, Stoker
from stoker.errors import ConfigurationError, DuplicateName, InvalidHandler, UnknownJob
from stoker.router import Catalogue


def router_of(namespace: str, *names: str, **options: Any) -> Router[object]:
    """A router with jobs of these names."""
    router = Router[object](namespace, **options)
    for name in names:

        @router.job(name=name)
        async def job() -> None: ...

    return router


def test_jobs_are_found_by_full_name_and_by_definition() -> None:
    router = router_of("emails", "welcome", "bye")
    catalogue = Catalogue([router], JobOptions())
    assert len(catalogue) == 2
    assert [entry.name for entry in catalogue] == ["emails.welcome", "emails.bye"]
    welcome = catalogue.named("emails.welcome")
    assert catalogue.of(router.jobs["welcome"]) is welcome
    assert catalogue.get("emails.welcome") is welcome
    assert catalogue.get("emails.missing") is None


def test_options_are_merged_from_app_router_and_job() -> None:
    router = Router[object]("r", attempts=2, timeout=20)

    @router.job(timeout=None, tags=["job"])
    async def job() -> None: ...

    entry = Catalogue([router], JobOptions(attempts=9, priority=1)).of(job)
    assert entry.options == {"attempts": 2, "priority": 1, "timeout": None, "tags": ["job"]}
    assert (entry.settings.attempts, entry.settings.priority) == (2, 1)
    assert entry.settings.timeout is None


def test_one_router_serves_many_apps_each_with_its_own_defaults_and_namespace() -> None:
    router = router_of("r", "job")
    one = Catalogue([router], JobOptions(attempts=2))
    other = Catalogue({"renamed": router}, JobOptions(attempts=5))
    assert one.named("r.job").settings.attempts == 2
    assert other.named("renamed.job").settings.attempts == 5
    assert router.options == {}


def test_an_unknown_job_is_answered_with_those_that_there_are() -> None:
    catalogue = Catalogue([router_of("b", "x"), router_of("a", "y")], JobOptions())
    with pytest.raises(UnknownJob, match=r"this app has no job 'b.y'; it has: a.y, b.x$"):
        catalogue.named("b.y")
    with pytest.raises(UnknownJob, match=r"no job 'b.y'; it has: none$"):
        Catalogue([], JobOptions()).named("b.y")


def test_a_job_of_a_router_that_the_app_was_not_given_says_how_to_give_it() -> None:
    stranger = router_of("other", "job").jobs["job"]
    with pytest.raises(UnknownJob, match=r"belongs to no router of this app: pass its router in "):
        Catalogue([router_of("emails", "job")], JobOptions()).of(stranger)


@pytest.mark.parametrize("wrong", [print, "emails.welcome", None, 5])
def test_what_is_no_job_says_what_a_job_is(wrong: Any) -> None:
    with pytest.raises(
        UnknownJob, match="is not a job: schedule a function decorated with @router"
    ):
        Catalogue([], JobOptions()).of(wrong)


def test_two_jobs_of_one_name_are_refused() -> None:
    with pytest.raises(DuplicateName) as caught:
        router_of("emails", "welcome", "welcome")
    assert str(caught.value) == (
        "router 'emails' already has a job 'welcome': give one of them another name=..."
    )


def test_two_routers_of_one_namespace_are_refused_with_the_way_to_rename_one() -> None:
    with pytest.raises(DuplicateName, match=r"two routers have the namespace 'r'.*jobs\.merge\("):
        Stoker("memory://", jobs=[router_of("r", "a"), router_of("r", "b")])


def test_one_router_given_twice_is_refused() -> None:
    router = router_of("r", "a")
    with pytest.raises(DuplicateName):
        Stoker("memory://", jobs=[router, router])
    with pytest.raises(DuplicateName, match="router 'r' is given twice"):
        Stoker("memory://", jobs={"a": router, "b": router})


@pytest.mark.parametrize("wrong", [print, "emails", None])
def test_what_is_no_router_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="jobs= takes routers, and was given"):
        Stoker("memory://", jobs=[wrong])


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a/b", "a:b", "\n"])
def test_names_that_could_not_be_told_apart_are_refused(name: str) -> None:
    with pytest.raises(InvalidHandler, match="use letters, digits, '_' and '-'"):
        Router(name)
    with pytest.raises(InvalidHandler, match="use letters, digits, '_' and '-'"):
        Stoker("memory://", jobs={name: router_of("r")})
    if name:
        with pytest.raises(InvalidHandler, match="use letters, digits, '_' and '-'"):
            router_of("r", name)


@pytest.mark.parametrize("name", ["a", "send_email", "send-email", "v2", "größe"])
def test_usual_names_are_taken(name: str) -> None:
    entry = Catalogue([router_of(name, name)], JobOptions()).named(f"{name}.{name}")
    assert entry.job.name == name
