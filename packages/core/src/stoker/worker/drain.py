"""Runs all that can run now, without a worker in the background: for tests and scripts."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from stoker.driver import Capability
from stoker.errors import WorkerCrashed
from stoker.worker.define import store_definitions
from stoker.worker.execute import Executor
from stoker.worker.heartbeat import Heartbeat
from stoker.worker.held import HeldLeases
from stoker.worker.link import Link
from stoker.worker.purge import purge
from stoker.worker.reap import reap
from stoker.worker.recur import fire_due, store_schedules
from stoker.worker.service import set_within
from stoker.worker.settle import Settler
from stoker.worker.site import Site
from stoker.worker.slots import Slots

__all__ = ["run_until_idle"]

_WORKER: Final = "run_until_idle"
_THREAD_PATIENCE: Final = 30.0


async def run_until_idle(site: Site) -> int:
    """Fire, promote, reap and run jobs until nothing is due any more; returns how many runs.

    It uses the same parts as a worker, so that a job goes the same way in a test.
    """
    drain = _Drain(site)
    try:
        return await drain.run()
    finally:
        await drain.stop()


class _Drain:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._death: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        link = Link(site.driver, site.random)
        self._freed = asyncio.Event()
        self._slots = Slots(site.options.concurrency, site.queues, self._freed.set)
        self._settler = Settler(link, site.clock)
        held = HeldLeases()
        self._executor = Executor(site, self._settler, held, self._slots, self._died)
        self._heartbeat = Heartbeat(site, link, held, self._executor.extended)
        self._settler.start(self._died)
        self._heartbeat.start(self._died)

    async def run(self) -> int:
        if self._site.can(Capability.SCHEDULE):
            await store_schedules(self._site)
        await store_definitions(self._site.driver, self._site.catalogue, self._site.prefix)
        runs = 0
        while True:
            moved = await self._prepare()
            claimed = await self._step()
            runs += claimed
            if not moved and not claimed:
                await self._purge()
                return runs

    async def stop(self) -> None:
        await self._heartbeat.stop()
        await self._settler.stop()
        self._executor.close()

    async def _prepare(self) -> int:
        site, queues = self._site, list(self._site.queues)
        fired = 0
        if site.can(Capability.SCHEDULE):
            fired, _ = await fire_due(site)
        reaped = await reap(site, queues)
        for one in reaped:
            self._executor.reaped(one)
        promoted = await site.driver.promote(queues, limit=1_000, now=site.clock.given())
        return fired + len(reaped) + promoted.count

    async def _purge(self) -> None:
        for queue in self._site.queues:
            await purge(self._site, queue)

    async def _step(self) -> int:
        site = self._site
        while not (wants := self._slots.wants(site.queues)):
            # Handlers that timed out may still be in their threads, and hold their places.
            self._freed.clear()
            if not await set_within(self._freed, _THREAD_PATIENCE):
                raise WorkerCrashed(
                    "handlers that took longer than their timeout hold all places, and their "
                    "threads do not return"
                )
        claimed = await site.driver.claim(
            wants, worker=_WORKER, lease=site.options.lease_time, now=site.clock.given()
        )
        for lease in claimed.leases:
            self._executor.start(lease)
        idle = asyncio.ensure_future(self._executor.idle())
        either: list[asyncio.Future[Any]] = [idle, self._death]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._death.done():
            idle.cancel()
            error = self._death.result()
            raise WorkerCrashed(f"running jobs failed: {error!r}") from error
        return len(claimed.leases)

    def _died(self, name: str, error: BaseException | None) -> None:
        if not self._death.done():
            self._death.set_result(error or RuntimeError(f"the {name} ended"))
