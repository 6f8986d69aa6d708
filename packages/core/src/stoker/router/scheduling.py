"""The part of an application that a handler may use: a small protocol below the worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar, overload

from typing_extensions import Unpack

from stoker._units import Seconds
from stoker.job import JobState
from stoker.router.definition import Job, JobCall
from stoker.router.options import CallOptions

__all__ = ["Scheduled", "Scheduling"]

P = TypeVar("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Scheduled(Protocol[R_co]):
    """What scheduling returns: enough to name the job, and to wait for it."""

    @property
    def id(self) -> str:
        """The job's id within its queue."""
        ...

    @property
    def queue(self) -> str:
        """The job's queue."""
        ...

    @property
    def name(self) -> str:
        """The job's full name, `namespace.job`."""
        ...

    async def status(self) -> JobState | None:
        """Return the job's state; `None` when the store keeps no record of it."""
        ...

    async def result(self, timeout: Seconds | None = None) -> R_co:
        """Wait until the job has ended, and return what its handler returned."""
        ...


class Scheduling(Protocol):
    """Schedules further jobs from inside of a handler: `job.app`.

    The methods are those of `Stoker`, with the same arguments and errors.
    """

    @overload
    async def schedule(
        self,
        job: Job[None, R, ..., Any],
        /,
        *,
        connection: Any = ...,
        **options: Unpack[CallOptions],
    ) -> Scheduled[R]: ...
    @overload
    async def schedule(
        self,
        job: Job[P, R, ..., Any],
        payload: P,
        /,
        *,
        connection: Any = ...,
        **options: Unpack[CallOptions],
    ) -> Scheduled[R]: ...
    @overload
    async def schedule(self, call: JobCall[R], /, *, connection: Any = ...) -> Scheduled[R]:
        """Store a job, to be run by a worker; the payload is validated before."""
        ...

    async def schedule_many(
        self, calls: Iterable[JobCall[R]], /, *, connection: Any = None
    ) -> Sequence[Scheduled[R]]:
        """Schedule many calls in as few round trips as the store allows."""
        ...
