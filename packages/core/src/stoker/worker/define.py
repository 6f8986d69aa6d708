"""Tells the store what the jobs are, for those who schedule without this code."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from stoker.driver import IMMEDIATELY, Definition, Definitions, Driver
from stoker.router import Catalogue, Entry
from stoker.router.options import expiry_of
from stoker.worker.link import Link
from stoker.worker.service import Service
from stoker.worker.site import Site

__all__ = ["Definer", "store_definitions"]


class Definer(Service):
    """Stores the definitions of the app's jobs once, when the worker starts.

    A worker does it, and not every app that is opened: a definition in the store then says that
    there is code to run the job, and opening an app writes nothing.
    """

    name: ClassVar[str] = "definer"

    def __init__(self, site: Site, link: Link) -> None:
        super().__init__()
        self._site = site
        self._link = link

    async def run(self) -> None:
        """Store them, and then only wait: a service does not end by itself."""
        site = self._site
        await self._link.call(
            "put_definitions",
            lambda: store_definitions(site.driver, site.catalogue, site.prefix),
        )
        await asyncio.Event().wait()


async def store_definitions(driver: Driver, catalogue: Catalogue, prefix: str) -> bool:
    """Store the definitions of all jobs; returns whether the driver has a place for them."""
    if not isinstance(driver, Definitions):
        return False
    if len(catalogue):
        await driver.put_definitions(prefix, [_definition(entry) for entry in catalogue])
    return True


def _definition(entry: Entry) -> Definition:
    settings = entry.settings
    return Definition(
        name=entry.name,
        queue=settings.queue,
        priority=settings.priority,
        max_attempts=settings.attempts,
        max_crashes=settings.max_crashes,
        expires=expiry_of(settings, IMMEDIATELY),
        timeout=settings.timeout,
        keep=settings.keep,
        unique=settings.unique.rule(entry.name) if settings.unique is not None else None,
        tags=settings.tags,
        metadata=settings.metadata,
    )
