"""The declarative form: jobs, routers and their composition as plain calls.

It is the same machinery as the decorators::

    from stoker import jobs

    emails = jobs.router(
        namespace="emails",
        jobs={"welcome": jobs.register(input=Welcome, handler=send_welcome, attempts=3)},
        on_success=log_success,
    )
    app = Stoker("sqlite:///jobs.db", jobs=jobs.merge({"emails": emails, "reports": reports}))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from typing_extensions import Unpack

from stoker.errors import ConfigurationError, DuplicateName
from stoker.router.decorators import NamedOptions, define
from stoker.router.definition import Job
from stoker.router.hooks import Event
from stoker.router.options import JobOptions
from stoker.router.router import Router
from stoker.router.run import JobRun, Progress

__all__ = ["merge", "register", "router"]

Told: TypeAlias = Awaitable[None] | None


def register(
    *,
    handler: Callable[..., Any],
    input: Any = ...,  # noqa: A002  what the type is called everywhere in this project
    on_start: Callable[[JobRun], Told] | None = None,
    on_progress: Callable[[JobRun, Progress], Told] | None = None,
    on_success: Callable[[JobRun, Any], Told] | None = None,
    on_failure: Callable[[JobRun, BaseException], Told] | None = None,
    on_retry: Callable[[JobRun, BaseException], Told] | None = None,
    on_complete: Callable[[JobRun], Told] | None = None,
    **options: Unpack[NamedOptions],
) -> Job[Any, Any, ..., Any]:
    """Return a job that is made of a handler.

    Args:
        handler: a function as for `@router.job`.
        input: the type of its payload; if left out, the annotation of its first parameter.
        on_start: and the others: hooks of this job.
        options: options of this job.

    Raises:
        InvalidHandler: if the handler or a hook cannot be one.
        InvalidOption: if an option is out of range.
    """
    job = define(handler, options, input_type=input)
    given = (on_start, on_progress, on_success, on_failure, on_retry, on_complete)
    for event, hook in zip(Event, given, strict=True):
        if hook is not None:
            job.hooks.add(event, hook)
    return job


def router(
    *,
    namespace: str,
    jobs: Mapping[str, Job[Any, Any, ..., Any]],
    on_start: Callable[[JobRun], Told] | None = None,
    on_progress: Callable[[JobRun, Progress], Told] | None = None,
    on_success: Callable[[JobRun, Any], Told] | None = None,
    on_failure: Callable[[JobRun, BaseException], Told] | None = None,
    on_retry: Callable[[JobRun, BaseException], Told] | None = None,
    on_complete: Callable[[JobRun], Told] | None = None,
    **options: Unpack[JobOptions],
) -> Router[Any]:
    """Return a router with these jobs, each under the name that is its key.

    Args:
        namespace: the first half of the jobs' full names.
        jobs: definitions made with `register`, by name.
        on_start: and the others: hooks for all of the jobs.
        options: options of all of the jobs, weaker than their own.

    Raises:
        ConfigurationError: for names that cannot be used, options out of range, wrong hooks.
    """
    made: Router[Any] = Router(namespace, **options)
    for name, job in jobs.items():
        if not isinstance(job, Job):
            raise ConfigurationError(f"jobs[{name!r}] is {job!r}: make it with jobs.register(...)")
        made.add(job, name)
    given = (on_start, on_progress, on_success, on_failure, on_retry, on_complete)
    for event, hook in zip(Event, given, strict=True):
        if hook is not None:
            made.hooks.add(event, hook)
    return made


def merge(routers: Mapping[str, Router[Any]], /, **more: Router[Any]) -> dict[str, Router[Any]]:
    """Return routers by the namespace that they are to have in the app: the key wins.

    Raises:
        DuplicateName: if a namespace is given twice.

    Example::

        Stoker(url, jobs=jobs.merge({"mail": emails}))
    """
    for name in routers.keys() & more.keys():
        raise DuplicateName(f"the namespace {name!r} is given twice")
    return {**routers, **more}
