"""One run of one job, from its lease to its ending."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from enum import Enum, auto
from typing import Any, Final

from stoker.driver import Cancel, Capability, Complete, Lease
from stoker.errors import InvalidPayload, UnserializableResult
from stoker.router import Entry, Event, JobRun, Progress
from stoker.router.run import Done
from stoker.worker.ending import Ending, failed, parked, released
from stoker.worker.failure import JobTimeout
from stoker.worker.held import HeldLeases
from stoker.worker.hooks import tell
from stoker.worker.reports import log_entry, progress_entry
from stoker.worker.site import Site
from stoker.worker.threads import HandlerThreads
from stoker.worker.transaction import JobTransaction

__all__ = ["Execution", "Interrupt"]

_HOOK_PATIENCE: Final = 5.0
"""Seconds that hooks for progress may go on after the handler has ended."""
_WORKER_LOGGER: Final = logging.getLogger("stoker.worker")


class Interrupt(Enum):
    """Why a run is stopped from outside."""

    TIMEOUT = auto()
    CANCEL = auto()
    SHUTDOWN = auto()
    LOST = auto()


class Execution:
    """A claimed job while it runs; what its `JobRun` reports ends up here."""

    __slots__ = (
        "_background",
        "_held",
        "_interrupt",
        "_loop",
        "_over",
        "_result",
        "_site",
        "_task",
        "_threads",
        "cancel_reason",
        "entry",
        "lease",
        "run",
        "shielded",
        "thread",
        "transaction_used",
    )

    def __init__(
        self,
        lease: Lease,
        entry: Entry,
        site: Site,
        held: HeldLeases,
        threads: HandlerThreads,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.lease: Lease = lease
        self.entry: Entry = entry
        self._site = site
        self._held = held
        self._threads = threads
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self._interrupt: Interrupt | None = None
        self._over = False
        self._background: set[asyncio.Task[None]] | None = None
        self._result: Any = None
        self.cancel_reason: str | None = None
        self.thread: Future[Any] | None = None
        """The thread that a `def` handler runs in."""
        self.transaction_used: JobTransaction | None = None
        self.shielded: bool = False
        """Whether a commit is under way, which nothing may interrupt."""
        self.run: JobRun = JobRun(
            lease,
            self,
            app=site.app,
            queue=lease.token.key.queue[len(site.prefix) :],
            payload=None,
            context=site.context,
        )

    @property
    def lease_lost(self) -> bool:
        """Whether this run does not count any more: another one may run the job by now."""
        return self._interrupt is Interrupt.LOST or (self._over and self.in_thread)

    @property
    def committed(self) -> bool:
        """Whether a transaction of the handler has completed the job already."""
        return self.transaction_used is not None and self.transaction_used.committed

    def load_payload(self) -> None:
        """Give hooks the payload of a job whose handler did not run, if it can be read."""
        with contextlib.suppress(InvalidPayload):
            self.run.payload = self.entry.job.payload_codec.decode(self.lease.payload)

    @property
    def in_thread(self) -> bool:
        """Whether the handler is still in a thread, also when nobody waits for it any more."""
        return self.thread is not None and not self.thread.done()

    async def perform(self) -> Ending | None:
        """Run the handler; `None` means that the outcome must not be settled from here."""
        self._task = asyncio.current_task()
        try:
            self.run.payload = self.entry.job.payload_codec.decode(self.lease.payload)
        except InvalidPayload as error:
            return parked(self.lease, error, self._site.options.park_time)
        deadline = None
        try:
            if self.lease.timeout is not None:
                deadline = self._loop.call_later(
                    self.lease.timeout.total_seconds(), self.interrupt, Interrupt.TIMEOUT
                )
            if Event.START in self.entry.hooks:
                await tell(self.entry, Event.START, self.run)
            returned = await self._call_handler()
            if self.committed or self.lease_lost:
                return None
            return Ending(Complete(self.encode_result(returned)), returned)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  whatever a handler raises
            return self._ending_of(error)
        finally:
            # What comes now is too late: an interrupt must not tear the ending apart.
            self._over = True
            if deadline is not None:
                deadline.cancel()
            if self._background:
                await self._end_hooks(self._background)

    def interrupt(self, reason: Interrupt) -> None:
        """Stop the run: cancel its task, or, while it commits, as soon as it has."""
        if self._over:
            return
        # A thread cannot be stopped, only left behind. For a cancel it is not: it may look at
        # `job.cancel_requested`, and its outcome decides.
        if self.thread is not None and reason is Interrupt.CANCEL:
            return
        # The first reason counts, but a handler that swallowed one cancel gets the next one.
        if self._interrupt is None or reason is Interrupt.LOST:
            self._interrupt = reason
        if self._task is not None and not self.shielded:
            self._task.cancel()

    def unshield(self) -> None:
        """The commit is over: let through what came meanwhile."""
        self.shielded = False
        if self._interrupt is not None and self._task is not None:
            self._task.cancel()

    def request_cancel(self, reason: str) -> None:
        """Note that a cancel was requested, and stop the run if it can be stopped."""
        if self.cancel_reason is None:
            self.cancel_reason = reason
            self.interrupt(Interrupt.CANCEL)

    def encode_result(self, result: Any) -> bytes | None:
        """Return the result as it is stored; `None` where nothing is.

        Raises:
            UnserializableResult: if it cannot be written as its annotation says, or is too large.
        """
        data = self.entry.job.result_codec.encode(result)
        if data is None or not self._site.can(Capability.RESULTS):
            return None
        if len(data) > self._site.driver.info.max_payload:
            raise UnserializableResult(
                f"{self.lease.name} returned {len(data):,} bytes; "
                f"{self._site.driver.info.name} keeps at most "
                f"{self._site.driver.info.max_payload:,}: store it elsewhere and return a reference"
            )
        return data

    def progress(self, progress: Progress) -> Awaitable[None]:
        """Store the progress with the next heartbeat, which comes at once; tell the hooks."""
        if self._site.can(Capability.RESULTS):
            self._held.report(self.lease.token, progress=progress_entry(progress))
        if Event.PROGRESS not in self.entry.hooks:
            return Done()
        if self.thread is not None:
            self._loop.call_soon_threadsafe(self._tell_progress, progress)
            return Done()
        return asyncio.shield(self._tell_progress(progress))

    def log(self, entry: dict[str, Any]) -> None:
        """Store a log entry with the next heartbeat, cut if it is too long."""
        if self._site.can(Capability.RESULTS):
            self._held.report(self.lease.token, entry=log_entry(self._site.clock.now(), entry))

    def _tell_progress(self, progress: Progress) -> asyncio.Task[None]:
        task = self._loop.create_task(tell(self.entry, Event.PROGRESS, self.run, progress))
        if self._background is None:
            self._background = set()
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def set_result(self, result: Any) -> None:
        """Note the result that the transaction of this run stores."""
        self._result = result

    def transaction(self, connection: Any) -> AbstractAsyncContextManager[Any]:
        """Begin the transaction that completes this run."""
        return JobTransaction(self, self._site, self._held, connection)

    @property
    def result(self) -> Any:
        """What `set_result` was given."""
        return self._result

    async def _call_handler(self) -> Any:
        handler = self.entry.job.handler
        run = self.run
        arguments = (run.payload, run.context, run)[: handler.arity]
        if handler.is_async:
            return await handler.function(*arguments)
        context = contextvars.copy_context()
        self.thread = self._threads.submit(context.run, _in_thread, handler.function, arguments)
        returned = await asyncio.wrap_future(self.thread)
        return await returned if inspect.isawaitable(returned) else returned

    async def _end_hooks(self, hooks: set[asyncio.Task[None]]) -> None:
        _, hanging = await asyncio.wait(hooks, timeout=_HOOK_PATIENCE)
        for hook in hanging:
            _WORKER_LOGGER.error("a hook for on_progress of %r does not end: cancelled", self.run)
            hook.cancel()

    def _ending_of(self, error: BaseException) -> Ending | None:
        if self.committed:
            self.run.logger.error(
                "job %s (%s) had committed its completion when its handler raised",
                self.run.id,
                self.run.name,
                exc_info=error,
            )
        if self.committed or self.lease_lost:
            return None
        match self._interrupt:
            case Interrupt.CANCEL:
                return Ending(Cancel(self.cancel_reason or ""))
            case Interrupt.SHUTDOWN:
                # A job whose thread goes on must not be given to another worker before its lease
                # has expired.
                return None if self.in_thread else released()
            case Interrupt.TIMEOUT:
                error = _timed_out(self.lease, self.lease.timeout)
            case _:
                pass
        return failed(error, self.lease, self.entry, self._site.random)


def _in_thread(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except StopIteration as error:
        # It cannot pass through a future: whoever awaits it would wait for ever.
        raise RuntimeError("the handler raised StopIteration") from error


def _timed_out(lease: Lease, timeout: timedelta | None) -> JobTimeout:
    seconds = 0.0 if timeout is None else timeout.total_seconds()
    return JobTimeout(f"{lease.name} took longer than its timeout of {seconds:g} s")
