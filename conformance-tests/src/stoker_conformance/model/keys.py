"""Who holds a unique key: at most one job of a queue, at any `now`."""

from __future__ import annotations

from datetime import datetime

from stoker.driver import JobKey, Until
from stoker_conformance.model.world import Hold, World

__all__ = ["at_the_claim", "at_the_end", "at_the_removal", "current", "left_behind", "take"]


def current(world: World, queue: str, key: str, now: datetime) -> Hold | None:
    """Return who holds a key at `now`."""
    hold = world.holds.get((queue, key))
    if hold is None or (isinstance(hold.until, datetime) and hold.until <= now):
        return None
    return hold


def take(world: World, job: JobKey, key: str, until: Until | datetime) -> None:
    """Let a job hold a key that is free."""
    world.holds[job.queue, key] = Hold(job.id, until)


def at_the_claim(world: World, job: JobKey) -> None:
    """Free the key of a job that starts, if it was held until the start."""
    _free(world, job, Until.START)


def at_the_end(world: World, job: JobKey) -> None:
    """Free the key of a job that ended, unless it is held until a time.

    A job can end without a start, and its key is free then all the same.
    """
    _free(world, job, Until.START, Until.FINISH)


def at_the_removal(world: World, job: JobKey) -> None:
    """Free the key of a job that somebody removes, however long it was to be held."""
    for place in _held_by(world, job):
        del world.holds[place]


def left_behind(world: World, job: JobKey) -> None:
    """Keep a key until its time though the record of its job goes by itself."""
    for place in _held_by(world, job):
        world.holds[place].holder = None


def _free(world: World, job: JobKey, *untils: Until) -> None:
    for place in _held_by(world, job):
        if world.holds[place].until in untils:
            del world.holds[place]


def _held_by(world: World, job: JobKey) -> list[tuple[str, str]]:
    return [
        (queue, key)
        for (queue, key), hold in world.holds.items()
        if (queue, hold.holder) == (job.queue, job.id)
    ]
