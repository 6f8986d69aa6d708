"""The jobs of one app: what its routers define, under full names and with all options merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from stoker._value import value
from stoker.errors import ConfigurationError, DuplicateName, UnknownJob
from stoker.router.decorators import check_name
from stoker.router.definition import Job
from stoker.router.hooks import Event, Hook
from stoker.router.options import JobOptions, Settings, merge, settings_of
from stoker.router.router import Router

__all__ = ["Catalogue", "Entry", "Routers"]

Routers = Iterable[Router[Any]] | Mapping[str, Router[Any]]
"""What an app is given: routers, or routers by the namespace that they are to have."""


@value
class Entry:
    """A job as one app knows it."""

    name: str
    """Its full name, `namespace.job`."""
    job: Job[Any, Any, ..., Any]
    options: JobOptions
    """Those of app, router and job, merged."""
    settings: Settings
    """The same, checked and in the units of the store."""
    hooks: Mapping[Event, tuple[Hook, ...]]
    """Those of the job, then those of its router; events without hooks are left out."""


class Catalogue:
    """Finds the jobs of an app by name or by their definition.

    Raises:
        DuplicateName: if two routers have one namespace, or one router is given twice.
        InvalidOption: if merged options are out of range.
    """

    def __init__(self, routers: Routers, defaults: JobOptions) -> None:
        self._by_name: dict[str, Entry] = {}
        self._by_job: dict[int, Entry] = {}
        self._namespaces: dict[str, Router[Any]] = {}
        settings_of(merge(defaults))
        for namespace, router in _named(routers):
            self._add_router(namespace, router, defaults)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def namespaces(self) -> Mapping[str, Router[Any]]:
        """The routers by namespace."""
        return self._namespaces

    def get(self, name: str) -> Entry | None:
        """Return the job of that full name, `None` if there is none."""
        return self._by_name.get(name)

    def named(self, name: str) -> Entry:
        """Return the job of that full name.

        Raises:
            UnknownJob: if there is none; the message names those that there are.
        """
        entry = self._by_name.get(name)
        if entry is None:
            known = ", ".join(sorted(self._by_name)) or "none"
            raise UnknownJob(f"this app has no job {name!r}; it has: {known}")
        return entry

    def of(self, job: Job[Any, Any, ..., Any]) -> Entry:
        """Return the entry of a definition.

        Raises:
            UnknownJob: if it belongs to no router of this app.
        """
        entry = self._by_job.get(id(job))
        if entry is None:
            if not isinstance(job, Job):
                raise UnknownJob(
                    f"{job!r} is not a job: schedule a function decorated with @router.job, or a "
                    "call made with .call(...)"
                )
            raise UnknownJob(
                f"the job {job.name!r} belongs to no router of this app: pass its router in "
                f"Stoker(..., jobs=[...]); the app has {', '.join(self._namespaces) or 'none'}"
            )
        return entry

    def _add_router(self, namespace: str, router: Router[Any], defaults: JobOptions) -> None:
        if namespace in self._namespaces:
            raise DuplicateName(
                f"two routers have the namespace {namespace!r}: give one of them another one, or "
                "rename it with jobs.merge({'other': router})"
            )
        if any(router is other for other in self._namespaces.values()):
            raise DuplicateName(f"router {router.namespace!r} is given twice")
        self._namespaces[namespace] = router
        router.hooks.seal()
        for name, job in router.jobs.items():
            if id(job) in self._by_job:
                raise DuplicateName(
                    f"one definition is both {self._by_job[id(job)].name} and {namespace}.{name}, "
                    "so scheduling it could mean either: make two of it"
                )
            job.hooks.seal()
            options = merge(defaults, router.options, job.options)
            entry = Entry(
                name=f"{namespace}.{name}",
                job=job,
                options=options,
                settings=settings_of(options),
                hooks={
                    event: hooks
                    for event in Event
                    if (hooks := job.hooks.get(event) + router.hooks.get(event))
                },
            )
            self._by_name[entry.name] = entry
            self._by_job[id(job)] = entry


def _named(routers: Routers) -> Iterator[tuple[str, Router[Any]]]:
    if isinstance(routers, Router):
        raise ConfigurationError(f"jobs= takes a list of routers: jobs=[{routers.namespace}]")
    named = isinstance(routers, Mapping)
    for key in routers:
        router: object = cast("Mapping[Any, object]", routers)[key] if named else key
        if not isinstance(router, Router):
            raise ConfigurationError(f"jobs= takes routers, and was given {router!r}")
        namespace = str(key) if named else router.namespace
        check_name("router", namespace)
        yield namespace, router
