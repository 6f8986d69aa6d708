"""Brings back the jobs of workers that have disappeared."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import ClassVar, Final

from stoker.driver import Reaped
from stoker.worker.execute import Executor
from stoker.worker.failure import WorkerLost, describe
from stoker.worker.heartbeat import Heartbeat
from stoker.worker.link import Link
from stoker.worker.service import Service
from stoker.worker.site import Site

__all__ = ["Reaper", "reap"]

log: Final = logging.getLogger("stoker.worker")

_LIMIT: Final = 1_000
_ERROR: Final = describe(
    WorkerLost("the worker disappeared: its lease expired without a sign of life")
)


async def reap(site: Site, queues: list[str]) -> list[Reaped]:
    """End the expired leases of `queues`, up to a limit a queue."""
    return await site.driver.reap(
        queues, limit=_LIMIT, delay=timedelta(0), error=_ERROR, now=site.clock.given()
    )


class Reaper(Service):
    """Reaps expired leases, a few times a lease.

    It begins only after half a lease of uninterrupted contact with the store: after an outage that
    was longer than a lease, every lease looks expired, and the first worker to be back must not
    take all the others' jobs away. Nor its own: it reaps only while those were extended a short
    time ago, which is not so when the loop was blocked or the store was slow to answer.
    """

    name: ClassVar[str] = "reaper"

    def __init__(self, site: Site, link: Link, heartbeat: Heartbeat, executor: Executor) -> None:
        super().__init__()
        self._site = site
        self._link = link
        self._heartbeat = heartbeat
        self._executor = executor
        self._queues = list(site.queues)

    async def run(self) -> None:
        """Reap at an interval of a sixth of a lease."""
        lease = self._site.options.lease_time
        while True:
            await asyncio.sleep(lease.total_seconds() / 6)
            if self._link.steady_for(lease / 2) and await self._own_leases_are_fresh():
                await self._reap()

    async def _own_leases_are_fresh(self) -> bool:
        half = self._site.options.lease_time / 2
        if self._heartbeat.extended_within(half):
            return True
        await self._heartbeat.beat()
        # An answer that took long says little about what comes next.
        return self._heartbeat.extended_within(half)

    async def _reap(self) -> None:
        # Not repeated: after an outage every lease looks expired.
        reaped = await self._link.once("reap", lambda: reap(self._site, self._queues))
        for one in reaped or ():
            log.warning(
                "job %s (%s): worker %s disappeared, crash %d of the job, it is %s now",
                one.lease.token.key.id,
                one.lease.name,
                one.worker,
                one.lease.crashes,
                one.state,
            )
            self._executor.reaped(one)
