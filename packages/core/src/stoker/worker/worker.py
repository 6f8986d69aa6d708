"""The worker: its services, started and stopped in the right order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Coroutine
from typing import Any, Final

from stoker.driver import Capability, Definitions
from stoker.errors import DriverError, WorkerCrashed
from stoker.worker.announce import Announcer
from stoker.worker.define import Definer
from stoker.worker.execute import Executor
from stoker.worker.fetch import Fetcher
from stoker.worker.heartbeat import Heartbeat
from stoker.worker.held import HeldLeases
from stoker.worker.link import Link
from stoker.worker.listen import Listener
from stoker.worker.pace import Pace
from stoker.worker.promote import Promoter
from stoker.worker.purge import Purger
from stoker.worker.reap import Reaper
from stoker.worker.recur import Recurrer
from stoker.worker.service import Service
from stoker.worker.settle import Settler
from stoker.worker.site import Site
from stoker.worker.slots import Slots

__all__ = ["Worker"]

log: Final = logging.getLogger("stoker.worker")

_LAST_WORDS = 5.0
"""Seconds for interrupted handlers to clean up, and for the last settlements to arrive."""


class Worker:
    """Runs jobs of one app until it is stopped, or until one of its services dies.

    Example::

        worker = Worker(site)
        worker.start()
        await worker.stop()
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.id: str = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        """Random for each start, so that a new worker is never mistaken for a dead one."""
        self._death: asyncio.Future[WorkerCrashed] = asyncio.get_running_loop().create_future()
        link = Link(site.driver, site.random)
        work = asyncio.Event()
        slots = Slots(site.options.concurrency, site.queues, work.set)
        self._settler = Settler(link, site.clock)
        held = HeldLeases()
        self._executor = Executor(site, self._settler, held, slots, self._died)
        self._heartbeat = Heartbeat(site, link, held, self._executor.extended)
        promoter = Promoter(site, link, work.set)
        self._fetcher = Fetcher(
            site,
            link,
            slots,
            self._executor,
            Pace(slots.ended, time.monotonic),  # the clock of uvloop stands still for a millisecond
            self.id,
            work=work,
            learned_due=promoter.learn,
        )
        self._services: list[Service] = [
            self._settler,
            self._heartbeat,
            promoter,
            Reaper(site, link, self._heartbeat, self._executor),
            Purger(site, link),
        ]
        if site.can(Capability.WAKEUP):
            self._services.append(
                Listener(site, link, work=work.set, cancel=self._heartbeat.beat_now)
            )
        if site.can(Capability.SCHEDULE):
            self._services.append(Recurrer(site, link))
        if isinstance(site.driver, Definitions):
            self._services.append(Definer(site, link))
        self._announcer = None
        if site.can(Capability.PRESENCE):
            self._announcer = Announcer(site, link, self.id, self._info())
            self._services.append(self._announcer)

    def start(self) -> None:
        """Start all services."""
        if self._site.options.debug:
            _show_logs()
        queues = self._site.queues
        log.info(
            "worker %s: %d jobs at a time from %s",
            self.id,
            self._site.options.concurrency,
            ", ".join(queues),
        )
        for service in [*self._services, self._fetcher]:
            service.start(self._died)

    async def died(self) -> WorkerCrashed:
        """Wait until a service dies, and return why; for ever, if none does."""
        return await asyncio.shield(self._death)

    async def stop(self) -> None:
        """Stop in order: claim nothing more, let jobs finish, settle, fall silent.

        Raises:
            WorkerCrashed: if a service had died.
        """
        try:
            await self._stop()
        except asyncio.CancelledError:
            # Whoever waited for the stop has no patience left. Nothing must go on in the dark.
            for service in [*self._services, self._fetcher]:
                service.abandon()
            self._executor.abandon()
            raise
        if self._death.done():
            raise self._death.result()

    async def _stop(self) -> None:
        grace = self._site.options.grace_time.total_seconds()
        log.info("worker %s stops; running jobs have %g s to finish", self.id, grace)
        await self._fetcher.stop()
        if not await self._within(grace, self._executor.idle(), unless=self.died()):
            running = self._executor.interrupt_all()
            log.warning("worker %s: giving %d unfinished jobs back", self.id, running)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await self._executor.quiet()
            # Whichever other service has died: as long as the settler lives, outcomes are stored.
            if not await self._within(
                _LAST_WORDS, self._executor.idle(), unless=self._settler.ended()
            ):
                log.error("worker %s: some outcomes could not be stored", self.id)
        for service in reversed(self._services):
            await service.stop()
        left = self._executor.close()
        if left:
            log.error(
                "worker %s: %d handlers have not ended; their jobs run again when their leases "
                "have expired",
                self.id,
                left,
            )
        await self._withdraw()
        log.info("worker %s has stopped", self.id)

    async def _within(
        self,
        seconds: float,
        work: Coroutine[Any, Any, None],
        *,
        unless: Coroutine[Any, Any, object],
    ) -> bool:
        """Wait for `work`, but not for longer than that, and not once `unless` has ended."""
        idle = asyncio.ensure_future(work)
        hopeless = asyncio.ensure_future(unless)
        try:
            await asyncio.wait(
                [idle, hopeless], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            return idle.done()
        finally:
            idle.cancel()
            hopeless.cancel()

    async def _withdraw(self) -> None:
        if self._announcer is None:
            return
        try:
            await self._announcer.withdraw()
        except DriverError as error:
            # It expires by itself; a store that is away must not keep the worker from stopping.
            log.warning("worker %s could not say that it has stopped: %s", self.id, error)

    def _died(self, name: str, error: BaseException | None) -> None:
        if not self._death.done():
            crash = WorkerCrashed(f"the {name} of worker {self.id} died: {error!r}")
            crash.__cause__ = error
            log.critical("the %s of worker %s died", name, self.id, exc_info=error)
            self._death.set_result(crash)

    def _info(self) -> dict[str, object]:
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "concurrency": self._site.options.concurrency,
        }


def _show_logs() -> None:
    """Let the runs be seen in a program that has not set up logging; `debug=True` asks for it."""
    logger = logging.getLogger("stoker")
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.INFO)
