"""Runs claimed jobs, and settles what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from stoker.driver import (
    Cancel,
    Extended,
    ExtendStatus,
    JobState,
    Lease,
    Reaped,
    Release,
    Retry,
    Settled,
    Settlement,
    SettleStatus,
    Token,
)
from stoker.job import TERMINAL_STATES
from stoker.router.run import conclude
from stoker.worker.ending import Ending, expired, parked, refused, released
from stoker.worker.execution import Execution, Interrupt
from stoker.worker.failure import WorkerLost
from stoker.worker.held import HeldLeases
from stoker.worker.hooks import events_for, tell
from stoker.worker.line import Line
from stoker.worker.settle import Settler
from stoker.worker.site import Site
from stoker.worker.slots import Slots
from stoker.worker.threads import HandlerThreads

__all__ = ["Executor"]

log: Final = logging.getLogger("stoker.worker")


class Executor:
    """Starts an execution for every lease it is given, each in a task of its own."""

    def __init__(
        self,
        site: Site,
        settler: Settler,
        held: HeldLeases,
        slots: Slots,
        died: Callable[[str, BaseException | None], None],
    ) -> None:
        self._site = site
        self._settler = settler
        self._held = held
        self._slots = slots
        self._died = died
        self._loop = asyncio.get_running_loop()
        self._threads = HandlerThreads(site.options.concurrency)
        self._running: dict[Token, Execution] = {}
        self._admitted: list[Execution] = []
        """Those that have a place, and no task yet."""
        self.line: Line = Line()
        """Claimed jobs that wait for a place."""
        self._left_behind = 0
        """Handlers in threads that nobody waits for any more."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._log_runs = logging.INFO if site.options.debug else logging.DEBUG
        self._log_each = log.isEnabledFor(self._log_runs)

    def start(self, lease: Lease) -> None:
        """Run a claimed job once there is a place, which it has until its handler has ended."""
        self._held.add(lease.token)
        entry = self._site.catalogue.get(lease.name)
        if entry is None:
            unknown = LookupError(
                f"no job {lease.name!r} in the code of this worker; deploy code that has it, or "
                "cancel the job"
            )
            self._settle(lease, parked(lease, unknown, self._site.options.park_time), None)
            return
        execution = Execution(lease, entry, self._site, self._held, self._threads, self._loop)
        if expired(lease):
            execution.load_payload()
            self._settle(lease, Ending(Cancel("expired")), execution)
            return
        if self._slots.has_place(lease.token.key.queue):
            self._begin(execution)
        else:
            self.line.join(execution)

    def give_back_line(self) -> None:
        """Release the jobs that wait for a place."""
        for execution in self.line.leave_all():
            self.release(execution.lease)

    def release(self, lease: Lease) -> None:
        """Give back a claimed job that will not be started; its attempt is refunded."""
        self._settle(lease, released(), None)

    def extended(self, token: Token, answer: Extended) -> None:
        """Act on what a heartbeat learned of a lease."""
        execution = self._running.get(token)
        if execution is None:
            self._extended_in_line(token, answer)
            return
        if answer.status in (ExtendStatus.STALE, ExtendStatus.GONE):
            if execution.shielded or execution.committed:
                return
            self._held.remove(token)
            log.warning(
                "job %s (%s): its lease was lost (%s), the run is stopped and does not count",
                execution.run.id,
                execution.run.name,
                answer.status.value,
            )
            execution.interrupt(Interrupt.LOST)
        elif answer.cancel_reason is not None:
            execution.request_cancel(answer.cancel_reason)

    def _extended_in_line(self, token: Token, answer: Extended) -> None:
        if answer.status in (ExtendStatus.STALE, ExtendStatus.GONE):
            if self.line.leave(token) is not None:
                self._held.remove(token)
        elif answer.cancel_reason is not None:
            execution = self.line.leave(token)
            if execution is not None:
                execution.load_payload()
                self._settle(execution.lease, Ending(Cancel(answer.cancel_reason)), execution)

    def reaped(self, reaped: Reaped) -> None:
        """Tell the hooks of a job that failed, or was cancelled, because its worker disappeared."""
        lease = reaped.lease
        entry = self._site.catalogue.get(lease.name)
        if reaped.state in TERMINAL_STATES:
            self._site.ended(lease.token.key)
        if entry is None or not events_for(reaped.state, retried=False):
            return
        error = WorkerLost(
            f"worker {reaped.worker} disappeared while it ran {lease.name}, "
            f"crash {lease.crashes} of this job"
        )
        execution = Execution(lease, entry, self._site, self._held, self._threads, self._loop)
        execution.load_payload()
        self._spawn(self._tell(execution, reaped.state, error, retried=False))

    def interrupt_all(self) -> int:
        """Stop all runs because the worker stops; returns how many there are."""
        for execution in list(self._running.values()):
            execution.interrupt(Interrupt.SHUTDOWN)
        return len(self._running)

    async def quiet(self) -> None:
        """Wait until no handler and no hook runs."""
        if self._admitted:
            await asyncio.sleep(0)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def idle(self) -> None:
        """Wait until nothing is left: no handler, no hook, no settlement under way."""
        await self.quiet()
        await self._settler.settled()
        if self._tasks:
            await self.idle()

    def abandon(self) -> None:
        """Cancel everything that runs, without waiting; the leases expire."""
        self._admitted.clear()
        self.line.leave_all()  # or they would take the places of those that are cancelled
        for task in self._tasks:
            task.cancel()
        self._threads.close()

    def close(self) -> int:
        """Let go of the threads; returns how many handlers are still in one."""
        self._threads.close()
        return self._left_behind

    def _begin(self, execution: Execution) -> None:
        token = execution.lease.token
        self._slots.take(token.key.queue)
        self._running[token] = execution
        if not self._admitted:
            # A turn later, so that the claim which follows is sent before they run.
            self._loop.call_soon(self._begin_admitted)
        self._admitted.append(execution)

    def _begin_admitted(self) -> None:
        admitted, self._admitted = self._admitted, []
        for execution in admitted:
            self._spawn(self._run(execution))

    async def _run(self, execution: Execution) -> None:
        lease = execution.lease
        if self._log_each:
            self._note(lease, "starts")
        try:
            ending = await execution.perform()
        finally:
            conclude(execution.run)
            self._give_place_back(execution)
            del self._running[lease.token]
        await self._held.landed(lease.token)
        if execution.committed:
            settled = Settled(SettleStatus.APPLIED, JobState.COMPLETED)
            self._answered(lease, Ending(None, execution.result), execution, settled)
        elif ending is not None:
            self._settle(lease, ending, execution)
        else:
            self._held.remove(lease.token)

    def _note(self, lease: Lease, what: str) -> None:
        queue, job_id = lease.token.key
        fields = {"job_id": job_id, "job": lease.name, "queue": queue, "attempt": lease.attempt}
        log.log(self._log_runs, "job %s (%s) %s", job_id, lease.name, what, extra=fields)

    def _give_place_back(self, execution: Execution) -> None:
        lease = execution.lease
        if execution.in_thread and execution.thread is not None:
            self._left_behind += 1
            execution.thread.add_done_callback(lambda _: self._returned_later(lease))
        else:
            self._free(lease)

    def _free(self, lease: Lease) -> None:
        self._slots.free(lease.token.key.queue)
        execution = self.line.next(self._slots)
        if execution is not None:
            self._begin(execution)

    def _returned_later(self, lease: Lease) -> None:
        # Called in the thread. A loop that is closed has no slots to give back any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._returned, lease)

    def _returned(self, lease: Lease) -> None:
        self._left_behind -= 1
        self._free(lease)

    def _settle(self, lease: Lease, ending: Ending, execution: Execution | None) -> None:
        outcome = ending.outcome
        assert outcome is not None
        if isinstance(outcome, Release) and outcome.parked:
            log.warning("job %s is put back: %s", lease.token.key.id, ending.detail)
        reports = self._held.take(lease.token)
        if reports is None:
            settlement = Settlement(lease.token, outcome)
        else:
            settlement = Settlement(lease.token, outcome, reports.progress, reports.logs)
        self._settler.put(
            settlement,
            lambda settled, refusal: self._answered(
                lease, ending if refusal is None else refused(refusal), execution, settled
            ),
        )

    def _answered(
        self, lease: Lease, ending: Ending, execution: Execution | None, settled: Settled
    ) -> None:
        self._held.remove(lease.token)
        if settled.state is None:
            return
        if self._log_each:
            self._note(lease, f"is {settled.state}")
        if settled.state in TERMINAL_STATES:
            self._site.ended(lease.token.key)
        if execution is not None and execution.entry.hooks:
            retried = isinstance(ending.outcome, Retry)
            if events_for(settled.state, retried=retried):
                self._spawn(self._tell(execution, settled.state, ending.detail, retried=retried))

    async def _tell(
        self, execution: Execution, state: JobState, detail: Any, *, retried: bool
    ) -> None:
        for event in events_for(state, retried=retried):
            details = (detail,) if len(event.parameters) > 1 else ()
            await tell(execution.entry, event, execution.run, *details)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(self._loop.create_task(self._guarded(work)))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        # Not a callback on the task: for each job that would be one more turn of the event loop.
        try:
            await work
        except Exception as error:  # noqa: BLE001  handlers are caught before; this is a defect
            self._died("executor", error)
        finally:
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))
