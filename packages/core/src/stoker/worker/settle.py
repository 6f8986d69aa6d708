"""Settlements, in batches that grow by themselves.

A flush starts when the one before has been answered and takes all that came in between: one item
when the worker is idle, hundreds under load, and no timer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

from stoker.clock import Clock
from stoker.driver import Fail, Settled, Settlement, SettleStatus
from stoker.driver.batches import batches, size_of_settlement
from stoker.errors import InvalidInput, Unsupported
from stoker.worker.failure import describe
from stoker.worker.link import Link
from stoker.worker.service import Service

__all__ = ["Settler"]

Answered: TypeAlias = Callable[[Settled, BaseException | None], None]
"""Told the answer, and the error if the outcome was refused and the job failed instead."""

log: Final = logging.getLogger("stoker.worker")


class Settler(Service):
    """Sends settlements until they are answered; nothing that is put here is ever given up."""

    name: ClassVar[str] = "settler"

    def __init__(self, link: Link, clock: Clock) -> None:
        super().__init__()
        self._link = link
        self._clock = clock
        self._waiting: list[tuple[Settlement, Answered]] = []
        self._wanted = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, settlement: Settlement, answered: Answered) -> None:
        """Send `settlement` with the next flush; `answered` is called with the answer."""
        self._waiting.append((settlement, answered))
        self._wanted.set()
        self._empty.clear()

    async def settled(self) -> None:
        """Wait until everything that was put has been answered."""
        await self._empty.wait()

    async def run(self) -> None:
        """Flush whenever there is something to flush."""
        info = self._link.driver.info
        while True:
            await self._wanted.wait()
            # What has ended has left its places as well. Whoever claims for them goes first: the
            # worker waits for new jobs, and not for these answers.
            await asyncio.sleep(0)
            self._wanted.clear()
            waiting, self._waiting = self._waiting, []
            for batch in batches(waiting, lambda item: size_of_settlement(item[0]), info):
                await self._flush(batch)
            if not self._waiting:
                self._empty.set()

    async def _flush(self, batch: list[tuple[Settlement, Answered]]) -> None:
        answers = await self._send([settlement for settlement, _ in batch])
        for (settlement, answered), (answer, refusal) in zip(batch, answers, strict=True):
            if answer.status in (SettleStatus.STALE, SettleStatus.GONE):
                _log_lost(settlement, answer)
            answered(answer, refusal)

    async def _send(self, items: list[Settlement]) -> list[tuple[Settled, BaseException | None]]:
        try:
            answers = await self._link.call("settle", lambda: self._settle(items))
            return [(answer, None) for answer in answers]
        except (InvalidInput, Unsupported) as error:
            # The core checks what it sends; should one item be refused all the same, the others
            # must not wait for it, and its job must not run for ever.
            if len(items) > 1:
                return [answer for item in items for answer in await self._send([item])]
            if isinstance(items[0].outcome, Fail):
                raise
            log.exception("the outcome of job %s was refused", items[0].token.key.id)
            failure = Settlement(items[0].token, Fail(describe(error)))
            return [(answer, error) for answer, _ in await self._send([failure])]

    async def _settle(self, items: list[Settlement]) -> list[Settled]:
        return await self._link.driver.settle(items, now=self._clock.given())


def _log_lost(settlement: Settlement, answer: Settled) -> None:
    log.warning(
        "job %s: its lease was lost, so its outcome (%s) does not count: %s",
        settlement.token.key.id,
        type(settlement.outcome).__name__.lower(),
        answer.status.value,
    )
