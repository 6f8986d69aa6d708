"""What scheduling returns: a name for the job, and what can be done with it."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stoker._units import Seconds, duration
from stoker.driver import Changed, JobKey, JobRecord, JobState
from stoker.errors import JobCancelled, JobFailed, JobGone, ResultTimeout

if TYPE_CHECKING:
    from stoker.app.inspection import Inspection
    from stoker.router import Entry

__all__ = ["JobHandle"]

R_co = TypeVar("R_co", covariant=True)


class JobHandle(Generic[R_co]):
    """A scheduled job, seen from outside. It costs nothing to keep and asks the store each time."""

    __slots__ = ("_app", "_entry", "_key", "created")

    def __init__(self, app: Inspection, entry: Entry, key: JobKey, *, created: bool) -> None:
        self._app = app
        self._entry = entry
        self._key = key
        self.created: bool = created
        """Whether this call stored the job: `False` when its id existed, or when its unique key
        was held; then the handle is that of the job which was there before, or, if that has left
        no record, names a job that does not exist."""

    def __repr__(self) -> str:
        return f"<JobHandle {self.name} {self.id} in {self.queue}>"

    @property
    def id(self) -> str:
        """The job's id within its queue."""
        return self._key.id

    @property
    def queue(self) -> str:
        """The job's queue."""
        return self._key.queue

    @property
    def name(self) -> str:
        """The job's full name, `namespace.job`."""
        return self._entry.name

    async def record(self) -> JobRecord | None:
        """Return all that the store knows of the job; `None` when it keeps no record of it."""
        return await self._app.get(self.id, queue=self.queue)

    async def status(self) -> JobState | None:
        """Return the job's state; `None` when the store keeps no record of it."""
        return await self._app.state(self._key)

    async def result(self, timeout: Seconds | None = None) -> R_co:
        """Wait until the job has ended, and return what its handler returned.

        Args:
            timeout: how long to wait, in seconds; `None` waits as long as it takes.

        Raises:
            JobFailed: it failed for good; the message carries the stored error.
            JobCancelled: it was cancelled; the message carries the reason.
            JobGone: there is no record: removed, or not kept.
            ResultTimeout: it has not ended in time; the job goes on.
        """
        seconds = None if timeout is None else duration("timeout", timeout).total_seconds()
        # Given no time at all, one look at the store is still due.
        limit = asyncio.timeout(seconds or None)
        try:
            async with limit:
                record = await (self._ended() if seconds != 0 else self._ended_now())
        except TimeoutError as error:
            if not limit.expired():
                raise  # not of this timer
            raise ResultTimeout(f"{self!r} has not ended within {timeout} s") from error
        if record is None:
            raise JobGone(
                f"the store has no record of {self!r}: it was removed, or it ended and was not "
                "kept (keep_completed=...)"
            )
        match record.state:
            case JobState.FAILED:
                raise JobFailed(f"{self!r} failed: {_newest_error(record)}", record)
            case JobState.CANCELLED:
                raise JobCancelled(f"{self!r} was cancelled: {record.cancel_reason}", record)
            case _ if not (self._entry.job.result_codec.is_none or self._app.keeps_results):
                raise JobGone(f"{self!r} is completed, and its driver keeps no results", record)
            case _:
                result: R_co = self._entry.job.result_codec.decode(record.result)
                return result

    async def _ended(self) -> JobRecord | None:
        while True:
            record = await self._app.until_ended(self._key)
            # Somebody may have retried it in the very moment.
            if record is None or record.is_terminal:
                return record

    async def _ended_now(self) -> JobRecord | None:
        record = await self.record()
        if record is not None and not record.is_terminal:
            raise ResultTimeout(f"{self!r} has not ended yet", record)
        return record

    async def cancel(self, reason: str = "cancelled") -> Changed:
        """Cancel the job: at once if it waits (`DONE`), by asking its worker if it runs
        (`REQUESTED`)."""
        return await self._app.cancel(self.id, queue=self.queue, reason=reason)

    async def retry(self) -> Changed:
        """Make the job ready again if it failed or was cancelled."""
        return await self._app.retry(self.id, queue=self.queue)

    async def reschedule(
        self, *, delay: Seconds | None = None, at: datetime | None = None
    ) -> Changed:
        """Move the job, if it waits, to another time; neither `delay` nor `at` means now."""
        return await self._app.reschedule(self.id, queue=self.queue, delay=delay, at=at)

    async def remove(self) -> Changed:
        """Delete the job's record, whatever its state."""
        return await self._app.remove(self.id, queue=self.queue)


def _newest_error(record: JobRecord) -> str:
    if not record.errors:
        return "no error is recorded"
    details: Any = json.loads(record.errors[-1])
    return f"{details.get('type', 'error')}: {details.get('message', '')}"
