"""Whether the parts of an app fit together, found out when it is built and not at 3 a.m."""

from __future__ import annotations

from stoker.clock import Clock
from stoker.driver import Capability, Driver
from stoker.driver.checks import LATEST, check_jobs
from stoker.errors import (
    ConfigurationError,
    InvalidOption,
    MissingCapability,
    MissingContext,
)
from stoker.job import DEFAULT_PRIORITY
from stoker.router import Catalogue, Entry, Tick
from stoker.router.options import check_queue
from stoker.worker.recur import tick_job

__all__ = ["check_real_time", "check_wiring"]


def check_wiring(
    driver: Driver,
    catalogue: Catalogue,
    *,
    prefix: str,
    has_context: bool,
    autostart: bool,
    clock: Clock,
) -> None:
    """Refuse an app that could not work.

    Raises:
        ConfigurationError: if the clock stands still for a worker.
        MissingContext: if a handler wants a context, and there is none.
        MissingCapability: if a job needs what the driver cannot do.
        InvalidOption: if the prefix cannot be part of a queue's name.
    """
    if prefix:
        check_queue(prefix)
    if autostart:
        check_real_time(clock)
    for entry in catalogue:
        if entry.job.handler.wants_context and not has_context:
            raise MissingContext(
                f"{entry.name} takes the application's context, and this app has none: pass "
                "context=... or lifespan=... to Stoker"
            )
        for capability, why in _needs(entry):
            if capability not in driver.info.capabilities:
                raise MissingCapability(
                    f"{entry.name} {why}, which the driver {driver.info.name} cannot do: it lacks "
                    f"the capability {capability.value!r}"
                )
        if entry.job.recurrence is not None:
            _check_tick(driver, entry, prefix)


def check_real_time(clock: Clock) -> None:
    """Refuse a worker on a clock that does not run.

    Raises:
        ConfigurationError: if the clock is turned by hand.
    """
    if clock.given() is not None:
        raise ConfigurationError(
            "a worker runs in real time and cannot follow a clock that is turned by hand: call "
            "await app.run_until_idle() in place of it"
        )


def _check_tick(driver: Driver, entry: Entry, prefix: str) -> None:
    # Nobody schedules a recurring job by hand, so nobody would see why the store refuses it.
    try:
        job = tick_job(entry, f"{prefix}:queue", Tick(entry.name, LATEST, 1, None, None))
        check_jobs(driver.info, [job])
    except ConfigurationError:
        raise
    except Exception as error:
        raise InvalidOption(f"the ticks of {entry.name} cannot be scheduled: {error!r}") from error


def _needs(entry: Entry) -> list[tuple[Capability, str]]:
    needs = []
    if entry.settings.priority != DEFAULT_PRIORITY:
        needs.append((Capability.PRIORITY, "has a priority"))
    if entry.settings.unique is not None:
        needs.append((Capability.UNIQUE, "is unique"))
    if entry.job.recurrence is not None:
        needs.append((Capability.SCHEDULE, "recurs by a schedule"))
    return needs
