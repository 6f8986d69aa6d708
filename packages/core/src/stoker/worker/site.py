"""What all parts of a worker share: the app as they need to see it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from stoker._value import value
from stoker.clock import Clock
from stoker.driver import Capability, Driver, Retention
from stoker.job import JobKey
from stoker.router import Catalogue, Scheduling
from stoker.worker.options import WorkerOptions

__all__ = ["Site"]


@value
class Site:
    """One app's driver, jobs and context, for one worker."""

    driver: Driver
    catalogue: Catalogue
    app: Scheduling
    context: Any
    clock: Clock
    random: Random
    options: WorkerOptions
    prefix: str
    """What the names of all queues of the app begin with in the store."""
    retention: Retention
    ended: Callable[[JobKey], None]
    """Told, as a hint, when a job has ended here."""

    def can(self, capability: Capability) -> bool:
        """Return whether the driver has a capability."""
        return capability in self.driver.info.capabilities

    @property
    def queues(self) -> dict[str, int]:
        """The queues to serve, as the store knows them, with their limits."""
        named = {entry.settings.queue for entry in self.catalogue} | {"default"}
        limits = self.options.limits(sorted(named))
        return {self.prefix + queue: limit for queue, limit in limits.items()}
