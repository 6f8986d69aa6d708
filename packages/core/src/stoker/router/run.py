"""A run of a job, as its handler and its hooks see it."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Generator, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from stoker._value import value
from stoker.driver import Lease
from stoker.driver.times import from_micros, to_micros
from stoker.errors import InvalidInput, InvalidOption

if TYPE_CHECKING:
    from stoker.router.scheduling import Scheduling

__all__ = ["Done", "JobLogger", "JobRun", "Progress", "RunPort", "Tick", "conclude"]

TICK_HEADER: Final = "stoker-tick"

_LOGGER: Final = logging.getLogger("stoker.jobs")


@value
class Progress:
    """How far a run has come."""

    percent: float
    """0 to 100."""
    message: str | None = None


@value
class Tick:
    """The tick of a schedule that a run belongs to."""

    schedule: str
    """The schedule's name: the full name of its job."""
    at: datetime
    """The time of the tick, which is not the time of the run."""
    count: int
    """How many ticks the schedule has fired, this one included."""
    previous: datetime | None
    """The tick before, if there was one."""
    next: datetime | None
    """The tick after, as planned when this one was fired; `None`: this was the last."""

    def to_header(self) -> str:
        """Return the tick as text for a job's headers."""
        previous = None if self.previous is None else to_micros(self.previous)
        following = None if self.next is None else to_micros(self.next)
        return json.dumps([self.schedule, to_micros(self.at), self.count, previous, following])

    @classmethod
    def from_header(cls, text: str) -> Tick:
        """Return the tick that `to_header` wrote."""
        schedule, at, count, previous, following = json.loads(text)
        return cls(
            schedule,
            from_micros(at),
            count,
            None if previous is None else from_micros(previous),
            None if following is None else from_micros(following),
        )


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds a job's names to the `extra` of every record, for structured logs."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the job's names beside what the caller gives as `extra`."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


class RunPort(Protocol):
    """What a run needs of the worker that executes it."""

    @property
    def cancel_reason(self) -> str | None:
        """Why a cancel of this run was requested; `None` when it was not."""
        ...

    @property
    def lease_lost(self) -> bool:
        """Whether another worker may run this job by now."""
        ...

    def progress(self, progress: Progress) -> Awaitable[None]:
        """Store the progress and tell the hooks."""
        ...

    def log(self, entry: dict[str, Any]) -> None:
        """Store a log entry."""
        ...

    def set_result(self, result: Any) -> None:
        """Note the result that the transaction of this run stores."""
        ...

    def transaction(self, connection: Any) -> AbstractAsyncContextManager[Any]:
        """Begin the transaction that completes this run."""
        ...


class JobRun:
    """One run of a job: what it is, and what its handler can do about it.

    It is passed to handlers that take a third parameter, and to every hook.
    """

    __slots__ = ("_lease", "_port", "app", "context", "payload", "queue")

    def __init__(
        self,
        lease: Lease,
        port: RunPort,
        *,
        app: Scheduling,
        queue: str,
        payload: Any,
        context: Any,
    ) -> None:
        self._lease = lease
        self._port: RunPort = port
        self.app: Scheduling = app
        """The application: `await job.app.schedule(...)` schedules further jobs."""
        self.queue: str = queue
        """The queue that the job waited in, without the application's prefix."""
        self.payload: Any = payload
        """The validated payload."""
        self.context: Any = context
        """The application's context; `None` when it has none."""

    @property
    def logger(self) -> JobLogger:
        """A logger under `stoker.jobs` whose records carry `job_id`, `job`, `queue`, `attempt`."""
        fields = {
            "job_id": self.id,
            "job": self.name,
            "queue": self.queue,
            "attempt": self.attempt,
        }
        return JobLogger(_LOGGER, fields)

    def __repr__(self) -> str:
        return f"<JobRun {self.name} {self.id} attempt {self.attempt} of {self.max_attempts}>"

    @property
    def id(self) -> str:
        """The job's id within its queue."""
        return self._lease.token.key.id

    @property
    def name(self) -> str:
        """The job's full name, `namespace.job`."""
        return self._lease.name

    @property
    def fence(self) -> int:
        """A number that is greater for every later run of this queue.

        Pass it to systems that can refuse a number lower than one they have seen: then a run
        whose lease was lost can do no harm there.
        """
        return self._lease.token.epoch

    @property
    def attempt(self) -> int:
        """Which attempt this is: 1 for the first."""
        return self._lease.attempt

    @property
    def max_attempts(self) -> int:
        """How many attempts there are in all."""
        return self._lease.max_attempts

    @property
    def is_final_attempt(self) -> bool:
        """Whether no attempt is left after this one."""
        return self._lease.attempt >= self._lease.max_attempts

    @property
    def crashes(self) -> int:
        """How many workers have disappeared while they ran this job."""
        return self._lease.crashes

    @property
    def snoozes(self) -> int:
        """How often the job was snoozed."""
        return self._lease.snoozes

    @property
    def priority(self) -> int:
        """The job's priority, 0 to 9."""
        return self._lease.priority

    @property
    def tags(self) -> tuple[str, ...]:
        """The job's tags."""
        return self._lease.tags

    @property
    def metadata(self) -> Mapping[str, str]:
        """The job's metadata."""
        return self._lease.metadata

    @property
    def headers(self) -> Mapping[str, str]:
        """What travels with the job besides its payload, such as trace context."""
        return self._lease.headers

    @property
    def enqueued_at(self) -> datetime:
        """When the job was scheduled, by the store's clock."""
        return self._lease.enqueued_at

    @property
    def run_at(self) -> datetime:
        """When this run was due."""
        return self._lease.run_at

    @property
    def started_at(self) -> datetime:
        """When this run was claimed, by the store's clock."""
        return self._lease.claimed_at

    @property
    def tick(self) -> Tick | None:
        """The tick of a schedule that this job belongs to; `None` for other jobs."""
        header = self._lease.headers.get(TICK_HEADER)
        return None if header is None else Tick.from_header(header)

    @property
    def cancel_requested(self) -> bool:
        """Whether someone asked to cancel this run; of use to `def` handlers, which look."""
        return self._port.cancel_reason is not None

    @property
    def lease_lost(self) -> bool:
        """Whether another worker may run this job by now, so that this run no longer counts."""
        return self._port.lease_lost

    def progress(self, percent: float, message: str | None = None) -> Awaitable[None]:
        """Report how far the run has come; the newest report is stored and told to the hooks.

        The report is taken at once, also from a thread. Awaiting it waits for the hooks. Once the
        handler has ended, reports are ignored.

        Raises:
            InvalidOption: if `percent` is not 0 to 100.

        Example::

            await job.progress(50, "rendered")
        """
        if not 0 <= percent <= 100:
            raise InvalidOption(f"progress({percent!r}): give a percentage, 0 to 100")
        return self._port.progress(Progress(percent, message))

    def log(self, message: str, **fields: Any) -> None:
        """Append an entry to the job's own log (the newest 100 are kept), from any thread.

        Ignored once the handler has ended.
        """
        self._port.log({"message": message, **fields})

    def set_result(self, result: Any) -> None:
        """Set the result that `job.transaction()` stores with the effects of the block."""
        self._port.set_result(result)

    def transaction(self, connection: Any = None) -> AbstractAsyncContextManager[Any]:
        """Commit the job's completion together with the handler's own writes, or neither.

        The block gets a connection of the driver's own client library, in a transaction; given a
        `connection`, it is used in place of a new one and must not be in a transaction. When the
        block ends well, the job is completed as the last statement of that transaction: the
        effects of the block in this database happen exactly once. A handler may do this once;
        what it returns afterwards is not stored (use `set_result` inside the block).

        Raises:
            Unsupported: if the driver has no transactions.
            LeaseLost: from the end of the block, if the job is not this run's to complete any
                more; the effects of the block are rolled back.

        Example::

            async with job.transaction() as conn:
                await conn.execute("update accounts set ...")
        """
        return self._port.transaction(connection)


class Done:
    """An awaitable that is done."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield  # never reached, but it makes this a generator


class _Ended:
    """The port of a run that has ended: it remembers, and does nothing any more."""

    __slots__ = ("cancel_reason", "lease_lost")

    def __init__(self, cancel_reason: str | None, lease_lost: bool) -> None:
        self.cancel_reason = cancel_reason
        self.lease_lost = lease_lost

    def progress(self, progress: Progress) -> Awaitable[None]:
        return Done()

    def log(self, entry: dict[str, Any]) -> None:
        pass

    def set_result(self, result: Any) -> None:
        pass

    def transaction(self, connection: Any) -> AbstractAsyncContextManager[Any]:
        raise InvalidInput("the run has ended, so there is nothing left to complete")


def conclude(run: JobRun) -> None:
    """Cut a run off from its worker: its handler has ended, whoever still holds the run.

    Run and worker hold each other. Cut off, both go as soon as nobody needs them, and do not wait
    for the garbage collector, which had a tenth of the time of a small job.
    """
    port = run._port  # noqa: SLF001  a friend of the class
    run._port = _Ended(port.cancel_reason, port.lease_lost)  # noqa: SLF001
