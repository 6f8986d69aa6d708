"""Fires the ticks of recurring jobs: any number of workers, no leader, each tick once."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime, timedelta
from typing import ClassVar, Final, cast

from stoker.driver import (
    At,
    FireStatus,
    JobKey,
    NewJob,
    Schedule,
    Schedules,
)
from stoker.router import Entry
from stoker.router.options import expiry_of
from stoker.router.run import TICK_HEADER, Tick
from stoker.schedule import Recurrence
from stoker.worker.link import Link
from stoker.worker.service import Service
from stoker.worker.site import Site

__all__ = ["Recurrer", "fire_due", "store_schedules", "tick_job"]

log: Final = logging.getLogger("stoker.worker")

_LONGEST_SLEEP: Final = timedelta(seconds=30)
_SHORTEST_SLEEP: Final = timedelta(milliseconds=20)


class Recurrer(Service):
    """Stores the schedules of the app's recurring jobs, and fires them when they are due."""

    name: ClassVar[str] = "recurrer"

    def __init__(self, site: Site, link: Link) -> None:
        super().__init__()
        self._site = site
        self._link = link

    async def run(self) -> None:
        """Sleep until the next tick of any schedule, and fire."""
        await self._link.call("put_schedule", lambda: store_schedules(self._site))
        while True:
            _, due_in = await self._link.call("fire_schedule", lambda: fire_due(self._site))
            sleep = _LONGEST_SLEEP if due_in is None else min(due_in, _LONGEST_SLEEP)
            await asyncio.sleep(max(sleep, _SHORTEST_SLEEP).total_seconds())


async def store_schedules(site: Site) -> None:
    """Put the schedule of every recurring job of the app; unchanged ones keep their place."""
    recurring = [entry for entry in site.catalogue if entry.job.recurrence is not None]
    if not recurring:
        return
    driver = cast("Schedules", site.driver)
    queues = sorted({site.prefix + entry.settings.queue for entry in recurring})
    book = await driver.list_schedules(queues, now=site.clock.given())
    for entry in recurring:
        first = _rule(entry).first(book.now)
        if first is None:
            log.warning("the schedule of job %s has no tick in the future", entry.name)
            continue
        await driver.put_schedule(
            site.prefix + entry.settings.queue,
            entry.name,
            _definition(entry),
            At(first),
            now=site.clock.given(),
        )


async def fire_due(site: Site) -> tuple[int, timedelta | None]:
    """Fire what is due; returns how many ticks were fired, and the time to the next one.

    Schedules of other apps, and other versions of a schedule, are left to those who know them.
    """
    entries = {
        (site.prefix + entry.settings.queue, entry.name): entry
        for entry in site.catalogue
        if entry.job.recurrence is not None
    }
    if not entries:
        return 0, None
    driver = cast("Schedules", site.driver)
    queues = sorted({queue for queue, _ in entries})
    book = await driver.list_schedules(queues, now=site.clock.given())
    fired = 0
    waits = []
    for schedule in book.schedules:
        entry = entries.get((schedule.queue, schedule.name))
        if entry is None or schedule.definition != _definition(entry):
            continue
        if schedule.next_at is None or schedule.due_in is None:
            continue
        if schedule.due_in > timedelta(0):
            waits.append(schedule.due_in)
            continue
        following = _rule(entry).following(schedule.next_at, book.now)
        fired += await _fire(site, driver, entry, schedule, schedule.next_at, following)
        if following is not None:
            waits.append(max(following - book.now, timedelta(0)))
    return fired, min(waits, default=None)


async def _fire(
    site: Site,
    driver: Schedules,
    entry: Entry,
    schedule: Schedule,
    at: datetime,
    following: datetime | None,
) -> int:
    tick = Tick(entry.name, at, schedule.count + 1, schedule.last_at, following)
    job = tick_job(entry, schedule.queue, tick)
    answer = await driver.fire_schedule(
        schedule.queue,
        schedule.name,
        schedule.version,
        following,
        [job],
        now=site.clock.given(),
    )
    return 1 if answer.status is FireStatus.FIRED else 0


def tick_job(entry: Entry, queue: str, tick: Tick) -> NewJob:
    """Return the job of one tick, the same whoever fires it."""
    settings = entry.settings
    run_at = At(tick.at)
    return NewJob(
        key=JobKey(queue, f"{entry.name}@{tick.at.isoformat()}"),
        name=entry.name,
        payload=b"null",
        run_at=run_at,
        priority=settings.priority,
        max_attempts=settings.attempts,
        max_crashes=settings.max_crashes,
        expires=expiry_of(settings, run_at),
        timeout=settings.timeout,
        keep=settings.keep,
        unique=settings.unique.of(entry.name, None, b"null") if settings.unique else None,
        tags=settings.tags,
        metadata=settings.metadata,
        headers={TICK_HEADER: tick.to_header()},
    )


def _definition(entry: Entry) -> bytes:
    return json.dumps(_rule(entry).describe(), sort_keys=True).encode()


def _rule(entry: Entry) -> Recurrence:
    assert entry.job.recurrence is not None
    return entry.job.recurrence
