"""The application: jobs, a driver, and what to do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Any, Generic, cast, overload

from typing_extensions import TypeVar, Unpack

from stoker.app.build import build
from stoker.app.by_name import Namespaces
from stoker.app.context import ABSENT, Context
from stoker.app.enqueue import Interrupted, enqueue
from stoker.app.handle import JobHandle
from stoker.app.lifecycle import DEFAULT_RETENTION, Lifecycle
from stoker.clock import Clock, SystemClock
from stoker.driver import (
    Capability,
    Driver,
    Enqueued,
    EnqueueStatus,
    JobKey,
    JobRecord,
    NewJob,
    Retention,
    Transactional,
)
from stoker.errors import InvalidOption, PartlyScheduled, UnknownJob, Unsupported
from stoker.job import PENDING_STATES
from stoker.registry import check_driver, driver_for
from stoker.router import CallOptions, Catalogue, Entry, Job, JobCall, JobOptions, Router, Routers
from stoker.worker import WorkerOptions

__all__ = ["Stoker"]

A = TypeVar("A", default=object)
P = TypeVar("P")
R = TypeVar("R")


class Stoker(Lifecycle, Generic[A]):
    """An application: the jobs of some routers on one driver.

    It is used as an async context manager, or with `open` and `close`. It takes the routers as they
    are when it is built: import the modules that define jobs and hooks before.

    Args:
        driver: a URL such as `sqlite:///jobs.db`, or a driver object.
        jobs: routers, or what `jobs.merge` returns.
        context: what handlers get as their second argument.
        lifespan: in place of `context`: a function that returns an async context manager which
            yields it. It is entered where jobs run, once, and left when the app is closed.
        defaults: options of all jobs, weaker than those of routers and jobs.
        autostart_worker: run a worker inside of this process while the app is open: `True`, or
            its options. For development; in production run `stoker worker module:app`.
        prefix: keeps apps, tenants or environments apart that share a store.
        retention: what is kept of ended jobs.
        clock: where time comes from; tests pass a `ManualClock`.
        random: where jitter comes from; tests pass one with a seed.

    Raises:
        ConfigurationError: if the parts do not fit together; the subclass and the message say how.

    Example::

        app = Stoker("sqlite:///jobs.db", jobs=[emails], lifespan=lifespan)

        async with app:
            handle = await app.schedule(send_welcome_email, Welcome(...), delay=5)
    """

    @overload
    def __init__(
        self: Stoker[object],
        driver: str | Driver,
        *,
        jobs: Sequence[Router[object]] | dict[str, Router[object]],
        defaults: JobOptions | None = ...,
        autostart_worker: bool | WorkerOptions = ...,
        prefix: str = ...,
        retention: Retention = ...,
        clock: Clock | None = ...,
        random: Random | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        driver: str | Driver,
        *,
        jobs: Sequence[Router[A]] | dict[str, Router[A]],
        context: A,
        defaults: JobOptions | None = ...,
        autostart_worker: bool | WorkerOptions = ...,
        prefix: str = ...,
        retention: Retention = ...,
        clock: Clock | None = ...,
        random: Random | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        driver: str | Driver,
        *,
        jobs: Sequence[Router[A]] | dict[str, Router[A]],
        lifespan: Callable[[], AbstractAsyncContextManager[A]],
        defaults: JobOptions | None = ...,
        autostart_worker: bool | WorkerOptions = ...,
        prefix: str = ...,
        retention: Retention = ...,
        clock: Clock | None = ...,
        random: Random | None = ...,
    ) -> None: ...
    def __init__(
        self,
        driver: str | Driver,
        *,
        jobs: Routers,
        context: Any = ABSENT,
        lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
        defaults: JobOptions | None = None,
        autostart_worker: bool | WorkerOptions = False,
        prefix: str = "",
        retention: Retention = DEFAULT_RETENTION,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        super().__init__(
            driver_for(driver) if isinstance(driver, str) else check_driver(driver),
            Catalogue(jobs, defaults or JobOptions()),
            Context(context, lifespan),
            autostart=autostart_worker,
            prefix=prefix,
            retention=retention,
            clock=clock or SystemClock(),
            random=random or Random(),
        )
        self.jobs: Namespaces = Namespaces(self, self._catalogue)
        """The app's namespaces, for scheduling by name: `app.jobs.emails.schedule(...)`."""

    @overload
    async def schedule(
        self,
        job: Job[None, R, ..., Any],
        /,
        *,
        connection: Any = ...,
        **options: Unpack[CallOptions],
    ) -> JobHandle[R]: ...
    @overload
    async def schedule(
        self,
        job: Job[P, R, ..., Any],
        payload: P,
        /,
        *,
        connection: Any = ...,
        **options: Unpack[CallOptions],
    ) -> JobHandle[R]: ...
    @overload
    async def schedule(self, call: JobCall[R], /, *, connection: Any = ...) -> JobHandle[R]: ...
    async def schedule(
        self,
        job: Any,
        payload: Any = None,
        /,
        *,
        connection: Any = None,
        **options: Unpack[CallOptions],
    ) -> JobHandle[Any]:
        """Store a job, to be run by a worker; the payload is validated before.

        Args:
            job: a function decorated with `@router.job`, or a call made with its `.call(...)`.
            payload: its input.
            connection: join the transaction that is open on this connection of the driver's
                client library: the job exists if, and when, that transaction commits.
            options: `delay=` or `at=`, `job_id=`, and any option of the job for this call.

        Raises:
            InvalidPayload: the payload does not validate, or cannot be serialised.
            InvalidTime: both `delay` and `at`, a negative delay, or a naive datetime.
            InvalidOption: an option out of range.
            UnknownJob: the job belongs to no router of this app.
            NotOpen: the app is not open.
            DriverError: the store did not take it.

        Example::

            await app.schedule(send_welcome_email, Welcome(...), delay=5)
        """
        if isinstance(job, JobCall):
            if payload is not None or options:
                raise InvalidOption("give the payload and the options in .call(...), not beside it")
            call = job
        else:
            call = JobCall(job, payload, options)
        (handle,) = await self.schedule_many([call], connection=connection)
        return handle

    async def schedule_many(
        self, calls: Iterable[JobCall[R]], /, *, connection: Any = None
    ) -> list[JobHandle[R]]:
        """Store many jobs in as few round trips as the store allows.

        All calls are validated before the first one is stored.

        Args:
            calls: made with `job.call(...)`, of any jobs of this app.
            connection: as in `schedule`.

        Raises:
            PartlyScheduled: an error came after some were stored; and all that `schedule` raises.
        """
        driver = self._driver_open()
        entries: list[Entry] = []
        jobs: list[NewJob] = []
        for call in calls:
            if not isinstance(call, JobCall):
                raise UnknownJob(f"{call!r} is not a call: make it with job.call(...)")
            entry = self._catalogue.of(call.job)
            entries.append(entry)
            jobs.append(
                build(entry, call.payload, call.options, prefix=self.queue_prefix, info=driver.info)
            )
        now = self.clock.given()
        if connection is None:

            async def send(chunk: Sequence[NewJob]) -> list[Enqueued]:
                return await driver.enqueue(chunk, now=now)

        else:
            transactional = self._transactional()

            async def send(chunk: Sequence[NewJob]) -> list[Enqueued]:
                return await transactional.enqueue_in(connection, chunk, now=now)

        try:
            answers = await enqueue(jobs, send, driver.info, again=connection is None)
        except Interrupted as partly:
            stored = [
                self._handle(entry, job, answer)
                for entry, job, answer in zip(entries, jobs, partly.answers, strict=False)
            ]
            raise PartlyScheduled(
                f"{len(stored)} of {len(jobs)} jobs were stored before an error: {partly.error}",
                stored,
            ) from partly.error
        return [
            self._handle(entry, job, answer)
            for entry, job, answer in zip(entries, jobs, answers, strict=True)
        ]

    async def scheduled(self, job: Job[P, Any, ..., Any]) -> list[tuple[P, JobRecord]]:
        """Return payload and record of every waiting job of one definition; for tests."""
        entry = self._catalogue.of(job)
        found: list[tuple[P, JobRecord]] = []
        for queue in await self.queues():
            cursor = None
            while True:
                page = await self.search(
                    queue=queue, names=[entry.name], states=PENDING_STATES, cursor=cursor
                )
                found += [(job.payload_codec.decode(r.payload), r) for r in page.records]
                cursor = page.cursor
                if cursor is None:
                    break
        return found

    def handle(self, job: Job[Any, R, ..., Any], job_id: str, *, queue: str = "") -> JobHandle[R]:
        """Return a handle for a job that was scheduled elsewhere, for example to await its result.

        Args:
            job: its definition.
            job_id: its id.
            queue: its queue; the one in the job's options if left out.
        """
        entry = self._catalogue.of(job)
        return JobHandle(self, entry, JobKey(queue or entry.settings.queue, job_id), created=False)

    def _handle(self, entry: Entry, job: NewJob, answer: Enqueued) -> JobHandle[Any]:
        created = answer.status is EnqueueStatus.INSERTED
        key = job.key
        if self.queue_prefix or answer.existing:
            key = JobKey(key.queue[len(self.queue_prefix) :], answer.existing or key.id)
        return JobHandle(self, entry, key, created=created)

    def _transactional(self) -> Transactional[Any]:
        if not self.supports(Capability.TRANSACTIONAL):
            raise Unsupported(
                f"{self.driver.info.name} has no transactions to join: connection= needs a driver "
                "with the capability 'transactional', such as sqlite or postgres"
            )
        return cast("Transactional[Any]", self.driver)
