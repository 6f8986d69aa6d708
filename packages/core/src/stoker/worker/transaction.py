"""`job.transaction()`: the handler's writes and the job's completion, together or not at all."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

from stoker.driver import (
    Capability,
    Complete,
    JobState,
    Settlement,
    SettleStatus,
    Transactional,
)
from stoker.errors import DriverUnavailable, InvalidInput, LeaseLost, Unsupported
from stoker.worker.ending import failed
from stoker.worker.held import HeldLeases
from stoker.worker.site import Site

if TYPE_CHECKING:
    from stoker.worker.execution import Execution

__all__ = ["JobTransaction"]

log: Final = logging.getLogger("stoker.worker")


class JobTransaction:
    """A transaction whose last statement completes the job it belongs to."""

    def __init__(self, execution: Execution, site: Site, held: HeldLeases, connection: Any) -> None:
        self._execution = execution
        self._site = site
        self._held = held
        self._connection = connection
        self._block: AbstractAsyncContextManager[Any] | None = None
        self.committed: bool = False

    async def __aenter__(self) -> Any:
        if not self._site.can(Capability.TRANSACTIONAL):
            raise Unsupported(
                f"{self._site.driver.info.name} has no transactions to join: job.transaction() "
                "needs a driver with the capability 'transactional', such as sqlite or postgres"
            )
        if self._execution.transaction_used is not None:
            raise InvalidInput("job.transaction() completes the job, so a run can use it once")
        driver = cast("Transactional[Any]", self._site.driver)
        self._block = driver.transaction(self._connection, lease=self._site.options.lease_time)
        self._connection = await self._block.__aenter__()
        self._execution.transaction_used = self
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._block is not None
        if error is not None:
            await self._block.__aexit__(kind, error, trace)
            self._execution.transaction_used = None
            return
        try:
            data = self._execution.encode_result(self._execution.result)
        except BaseException as failure:
            await self._block.__aexit__(type(failure), failure, failure.__traceback__)
            raise
        await self._commit(data)

    async def _commit(self, data: bytes | None) -> None:
        # From here to the answer of the commit nothing may interrupt the run: a commit whose
        # await was cancelled may still take effect. The token leaves the heartbeat, which would
        # wait for the row that this transaction holds.
        self._execution.shielded = True
        reports = self._held.remove(self._execution.lease.token, also_under_way=True)
        settlement = Settlement(
            self._execution.lease.token,
            Complete(data),
            None if reports is None else reports.progress,
            () if reports is None else reports.logs,
        )
        task = asyncio.ensure_future(self._settle_and_commit(settlement))
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
        if not task.cancelled() and task.exception() is None:
            self.committed = True
        else:
            # If the job is still this run's, its lease is kept alive; if not, the next heartbeat
            # finds out, and stops the handler.
            self._held.add(settlement.token, reports)
        self._execution.unshield()
        task.result()
        if cancelled is not None:
            raise cancelled

    async def _settle_and_commit(self, settlement: Settlement) -> None:
        assert self._block is not None
        driver = cast("Transactional[Any]", self._site.driver)
        try:
            answer = await driver.settle_in(
                self._connection, settlement, now=self._site.clock.given()
            )
            if answer.status is not SettleStatus.APPLIED:
                raise LeaseLost(
                    f"job {settlement.token.key.id} was not this run's to complete any more "
                    f"({answer.status.value}); what the block wrote is rolled back"
                )
        except BaseException as error:
            await self._block.__aexit__(type(error), error, error.__traceback__)
            raise
        try:
            await self._block.__aexit__(None, None, None)
        except DriverUnavailable as error:
            if not error.maybe_applied or not await self._had_committed(settlement, error):
                raise

    async def _had_committed(self, settlement: Settlement, error: DriverUnavailable) -> bool:
        """Find out whether a commit whose answer was lost took effect.

        Settling the same token again tells: it applies only if the completion did not. It is the
        settlement that the error leads to anyway; settled again when the handler has ended, it
        answers `ALREADY`, and the hooks are told.
        """
        token = settlement.token
        execution = self._execution
        ending = failed(error, execution.lease, execution.entry, self._site.random)
        assert ending.outcome is not None
        probe = Settlement(token, ending.outcome)
        (answer,) = await self._site.driver.settle([probe], now=self._site.clock.given())
        if answer.status is SettleStatus.STALE:
            (record,) = await self._site.driver.get([token.key])
            if (
                record is not None
                and record.epoch == token.epoch
                and record.state is JobState.COMPLETED
            ):
                return True
        if answer.status is not SettleStatus.APPLIED:
            log.error("whether job %s was committed cannot be known: %s", token.key.id, error)
        raise LeaseLost(f"the transaction of job {token.key.id} did not commit: {error}") from error
