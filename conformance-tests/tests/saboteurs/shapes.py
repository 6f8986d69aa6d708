"""Defects of what a driver says of itself, of its life cycle, and of its refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    Capability,
    DriverInfo,
    Enqueued,
    Extended,
    Extension,
    JobKey,
    JobState,
    NewJob,
    Settled,
    Settlement,
    Wake,
)
from stoker.driver.checks import check_extensions, check_jobs, check_settlements
from stoker.errors import DriverClosed, DriverUnavailable, Unsupported

_NOTHING: frozenset[Capability] = frozenset()


class Modest(Saboteur):
    """No saboteur: a driver without any capability, which passes."""

    @property
    def info(self) -> DriverInfo:
        return replace(super().info, name="modest", capabilities=_NOTHING)

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        check_jobs(self.info, jobs)
        return await super().enqueue(jobs, now=now)

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        check_settlements(self.info, items)
        return await super().settle(items, now=now)

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        check_extensions(self.info, items)
        return await super().extend(items, lease=lease, now=now)

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        raise Unsupported("no wake-ups here")

    def __getattribute__(self, name: str) -> object:
        absent = ("_schedule", "_schedules", "announce", "withdraw", "workers")
        if name.endswith(absent):
            raise AttributeError(name)
        return super().__getattribute__(name)


@saboteur("SHP-05")
class MoreThanItSays(Saboteur):
    """Declares nothing, and lets everything pass."""

    @property
    def info(self) -> DriverInfo:
        return replace(super().info, capabilities=_NOTHING)


@saboteur("SHP-05")
class ResultsAreDropped(Modest):
    """A result that cannot be kept is dropped without a word."""

    async def settle(
        self, items: Sequence[Settlement], *, now: datetime | None = None
    ) -> list[Settled]:
        return await super(Modest, self).settle(items, now=now)


@saboteur("SHP-01")
class InfoOfTheConnection(Saboteur):
    """The info depends on whether the driver is open."""

    @property
    def info(self) -> DriverInfo:
        info = super().info
        return info if self._open else replace(info, max_batch=1)


@saboteur("SHP-01")
class RoomForOnePayload(Saboteur):
    """A batch of two of the largest payloads is too large."""

    @property
    def info(self) -> DriverInfo:
        info = super().info
        return replace(info, max_batch_bytes=info.max_payload)


@saboteur("SHP-02")
class OtherSignature(Saboteur):
    """An operation has a parameter of its own."""

    async def states(self, keys: Sequence[JobKey], fresh: bool) -> list[JobState | None]:  # type: ignore[override]
        return await super().states(keys)


@saboteur("SHP-03")
class ClosedIsNotRefused(Saboteur):
    """A closed client opens itself again."""

    async def queues(self) -> list[str]:
        await self.open()
        return await super().queues()


@saboteur("SHP-03")
class ClosedForGood(Saboteur):
    """A client that was closed stays closed."""

    was_closed = False

    async def open(self) -> None:
        if not self.was_closed:
            await super().open()

    async def close(self) -> None:
        self.was_closed = True
        await super().close()


@saboteur("SHP-04")
class OpeningRaces(Saboteur):
    """Two clients that create the schema at once."""

    async def open(self) -> None:
        creating = self.notes["creating"]
        if creating and "created" not in self.notes:
            raise DriverUnavailable("relation exists", maybe_applied=False)
        creating[id(self)] = True
        await asyncio.sleep(0)
        self.notes["created"][True] = True
        await super().open()


@saboteur("SHP-06")
class TasksAreLeftBehind(Saboteur):
    """A listener goes on after close."""

    async def open(self) -> None:
        await super().open()
        self.listener = asyncio.create_task(asyncio.sleep(60), name="listener")


@saboteur("SHP-08")
class CancelBreaksTheClient(Saboteur):
    """A cancelled call leaves its connection in the middle of an answer."""

    broken = False

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        if self.broken:
            raise DriverUnavailable("another operation is in progress", maybe_applied=False)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.broken = True
            raise
        return await super().enqueue(jobs, now=now)


@saboteur("SHP-09")
class CloneSharesTheConnection(Saboteur):
    """A clone is the same client, by another name."""

    def clone(self) -> Self:
        if not self._open:
            raise DriverClosed("not open")
        return self
