"""Routers: jobs under a namespace, with options and hooks in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import tzinfo
from typing import Any, Generic

from typing_extensions import TypeVar, Unpack

from stoker._units import Seconds
from stoker.errors import ConfigurationError, DuplicateName
from stoker.router.decorators import JobDecorator, NamedOptions, TickDecorator, check_name
from stoker.router.definition import Job
from stoker.router.hooks import Event, Hooks
from stoker.router.options import JobOptions, merge, settings_of
from stoker.router.run import JobRun, Progress
from stoker.schedule import Cron, Every

__all__ = ["Router"]

C_contra = TypeVar("C_contra", contravariant=True, default=object)
OneHook = TypeVar("OneHook", bound=Callable[[JobRun], "Awaitable[None] | None"])
ProgressHook = TypeVar("ProgressHook", bound=Callable[[JobRun, Progress], "Awaitable[None] | None"])
ResultHook = TypeVar("ResultHook", bound=Callable[[JobRun, Any], "Awaitable[None] | None"])
ErrorHook = TypeVar("ErrorHook", bound=Callable[[JobRun, BaseException], "Awaitable[None] | None"])


class Router(Generic[C_contra]):
    """A namespace of jobs. `Router[App]` says which context its handlers take.

    A router is pure data: one router can serve many apps, and none.

    Args:
        namespace: the first half of its jobs' full names.
        options: options of all its jobs, weaker than the jobs' own.

    Raises:
        InvalidHandler: if the namespace is not made of letters, digits, `_` and `-`.
        InvalidOption: if an option is out of range.

    Example::

        emails = Router[App]("emails", attempts=3)

        @emails.job
        async def welcome(payload: Welcome, context: App) -> None: ...
    """

    def __init__(self, namespace: str, **options: Unpack[JobOptions]) -> None:
        check_name("router", namespace)
        self.namespace = namespace
        self.options: JobOptions = merge(options)
        """The options given for this router, not merged with anything."""
        settings_of(self.options)
        self.jobs: dict[str, Job[Any, Any, ..., Any]] = {}
        """The router's jobs by name."""
        self.hooks: Hooks = Hooks()

    def __repr__(self) -> str:
        return f"<Router {self.namespace}: {', '.join(self.jobs) or 'no jobs'}>"

    def add(self, job: Job[Any, Any, ..., Any], name: str | None = None) -> Job[Any, Any, ..., Any]:
        """Add a definition, under its own name or another one.

        Raises:
            DuplicateName: if the router has a job of that name.
            ConfigurationError: if an app was built with the router before.
        """
        if self.hooks.is_sealed:
            raise ConfigurationError(
                f"the job {name or job.name!r} comes too late: an app was built with router "
                f"{self.namespace!r}. Import the module that defines it before Stoker(...)"
            )
        name = name or job.name
        check_name("job", name)
        if name in self.jobs:
            raise DuplicateName(
                f"router {self.namespace!r} already has a job {name!r}: "
                "give one of them another name=..."
            )
        self.jobs[name] = job
        return job

    @property
    def job(self) -> JobDecorator[C_contra]:
        """The decorator that makes a job of a handler.

        Bare, `@emails.job`, or with options, `@emails.job(attempts=3, name="welcome")`. A handler
        takes `()`, `(payload)`, `(payload, context)` or `(payload, context, job)`; `async def`
        runs on the event loop, `def` in a thread.
        """
        return JobDecorator(self.add, {})

    def cron(
        self, expression: str, *, tz: str | tzinfo = "UTC", **options: Unpack[NamedOptions]
    ) -> TickDecorator[C_contra]:
        """Return a decorator for a job that recurs by a cron expression.

        Any number of workers may run; each tick is scheduled once. After a time without workers
        one missed tick runs, not all of them.

        Args:
            expression: minute hour day month weekday, or second in front of them.
            tz: the time zone in which the expression is meant.
            options: as for `job`.

        Raises:
            InvalidOption: if the expression or the time zone is not one.

        Example::

            @reports.cron("0 9 * * 1-5", tz="Europe/Berlin")
            async def morning(payload: None, context: App) -> None: ...
        """
        return TickDecorator(self.add, Cron(expression, tz=tz), options)

    def every(self, interval: Seconds, **options: Unpack[NamedOptions]) -> TickDecorator[C_contra]:
        """Return a decorator for a job that recurs at a fixed distance.

        Args:
            interval: seconds, or a timedelta.
            options: as for `job`.

        Raises:
            InvalidOption: if the interval is not longer than zero.
        """
        return TickDecorator(self.add, Every(interval), options)

    def on_start(self, hook: OneHook, /) -> OneHook:
        """Call `hook(job)` when a run of any of the jobs starts, before its handler."""
        self.hooks.add(Event.START, hook)
        return hook

    def on_progress(self, hook: ProgressHook, /) -> ProgressHook:
        """Call `hook(job, progress)` when a run reports progress."""
        self.hooks.add(Event.PROGRESS, hook)
        return hook

    def on_success(self, hook: ResultHook, /) -> ResultHook:
        """Call `hook(job, result)` when a job is completed."""
        self.hooks.add(Event.SUCCESS, hook)
        return hook

    def on_failure(self, hook: ErrorHook, /) -> ErrorHook:
        """Call `hook(job, error)` when a job failed for good."""
        self.hooks.add(Event.FAILURE, hook)
        return hook

    def on_retry(self, hook: ErrorHook, /) -> ErrorHook:
        """Call `hook(job, error)` when an attempt failed and another one follows."""
        self.hooks.add(Event.RETRY, hook)
        return hook

    def on_complete(self, hook: OneHook, /) -> OneHook:
        """Call `hook(job)` when a job has ended: completed, failed or cancelled."""
        self.hooks.add(Event.COMPLETE, hook)
        return hook
