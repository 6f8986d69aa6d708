"""Claims jobs for free slots, and sleeps while there is nothing to claim."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import ClassVar, Final

from stoker.driver import Capability, Claimed, Want
from stoker.worker.execute import Executor
from stoker.worker.link import Link
from stoker.worker.pace import Pace
from stoker.worker.service import Service, set_within
from stoker.worker.site import Site
from stoker.worker.slots import Slots

__all__ = ["Fetcher"]

_LONGEST_SLEEP: Final = timedelta(seconds=5)
"""A lost wake-up costs no more than this."""
_LOOK_AGAIN: Final = timedelta(milliseconds=100)
_WORTH_WHILE: Final = 8
"""Where less than this part of all places is freed during a claim, none is made ahead."""
_PATIENCE: Final = 1.0
"""Seconds that a job may wait for its place. One that is given back is behind all others then."""


class Fetcher(Service):
    """Turns free slots into claims, and claims into running jobs.

    Where jobs are short, it claims for those places as well that will be free when the claim is
    back: worker and store then work at the same time. No more jobs run for that, but some are
    leased that wait in line for a moment.

    A claim is never cancelled, because its jobs would be lost until they are reaped: on stop the
    one in flight is awaited, and what it brings is released.

    Args:
        worker: the name under which leases are taken.
        work: set by others when there may be something to claim, or a place to run it.
        learned_due: told how long it is to the earliest delayed job, with every claim.
    """

    name: ClassVar[str] = "fetcher"

    def __init__(
        self,
        site: Site,
        link: Link,
        slots: Slots,
        executor: Executor,
        pace: Pace,
        worker: str,
        *,
        work: asyncio.Event,
        learned_due: Callable[[timedelta | None], None],
    ) -> None:
        super().__init__()
        self._site = site
        self._link = link
        self._slots = slots
        self._executor = executor
        self._worker = worker
        self._learned_due = learned_due
        self._work = work
        self._pace = pace
        self._claim: asyncio.Task[Claimed] | None = None
        self._stopping = False

    async def run(self) -> None:
        """Claim while there are slots and jobs, else wait for one of them."""
        queues = list(self._site.queues)
        wakes = self._site.can(Capability.WAKEUP)
        sleep = (_LONGEST_SLEEP if wakes else self._site.options.poll_time).total_seconds()
        nothing_in: set[str] = set()
        clock = asyncio.get_running_loop().time
        forget_at = clock()
        while True:
            await self._line_is_empty()
            # Forgotten after a while without any hint too: a queue that always has something
            # must not keep the others from being asked.
            if self._work.is_set() or clock() >= forget_at:
                # Cleared before the look: what comes from now on must not be lost.
                self._work.clear()
                nothing_in.clear()
                forget_at = clock() + sleep
            # A queue that gave something may have more, and is asked again at once.
            asked = (queue for queue in queues if queue not in nothing_in)
            wants = self._slots.wants(asked, self._ending())
            if not wants:
                await set_within(self._work, max(forget_at - clock(), 0))
                continue
            gave = self._start(await self._claim_for(wants))
            nothing_in.update(want.queue for want in wants if want.queue not in gave)

    async def stop(self) -> None:
        """Stop claiming; release what waits in line, and what a claim in flight still brings."""
        self._stopping = True
        await super().stop()
        self._executor.give_back_line()
        claim, self._claim = self._claim, None
        if claim is not None:
            await asyncio.wait([claim])
            if not claim.cancelled() and claim.exception() is None:
                for lease in claim.result().leases:
                    self._executor.release(lease)

    def _start(self, claimed: Claimed) -> set[str]:
        full = bool(claimed.leases) and claimed.next_due_in is None
        # A full claim may not say when the next job is due, and a backlog makes all claims full.
        self._learned_due(_LOOK_AGAIN if full else claimed.next_due_in)
        for lease in claimed.leases:
            self._executor.start(lease)
        return {lease.token.key.queue for lease in claimed.leases}

    def _ending(self) -> Mapping[str, int]:
        ending = self._pace.ending()
        if sum(ending.values()) * _WORTH_WHILE < self._site.options.concurrency:
            return {}
        return ending

    async def _line_is_empty(self) -> None:
        """Let what was claimed ahead begin; where that takes long, other workers may have it."""
        if not await set_within(self._executor.line.is_empty, _PATIENCE):
            self._pace.forget()
            self._executor.give_back_line()

    async def _claim_for(self, wants: list[Want]) -> Claimed:
        self._pace.claim_begins()
        self._claim = asyncio.ensure_future(self._link.call("claim", lambda: self._ask(wants)))
        claimed = await asyncio.shield(self._claim)
        self._claim = None
        self._pace.claim_ends()
        return claimed

    async def _ask(self, wants: list[Want]) -> Claimed:
        if self._stopping:
            return Claimed([], None)
        return await self._link.driver.claim(
            wants,
            worker=self._worker,
            lease=self._site.options.lease_time,
            now=self._site.clock.given(),
        )
