"""Defects of schedules."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from saboteurs.base import Saboteur, saboteur
from stoker.driver import (
    After,
    At,
    Fired,
    FireStatus,
    NewJob,
    Schedule,
    ScheduleBook,
    When,
)


class _Firing(Saboteur):
    """Has a row at hand when it fires."""

    async def row(self, queue: str, name: str, now: datetime | None) -> Schedule | None:
        book = await super().list_schedules([queue], now=now)
        return next((row for row in book.schedules if row.name == name), None)


@saboteur("SCH-01", "SCH-03")
class VersionIgnored(_Firing):
    """Whoever comes second fires the next tick."""

    async def fire_schedule(
        self,
        queue: str,
        name: str,
        expected_version: int,
        next_at: datetime | None,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> Fired:
        row = await self.row(queue, name, now)
        if row is not None and row.version != expected_version:
            await super().put_schedule(queue, name, b"again", After(timedelta(0)), now=now)
            row = await self.row(queue, name, now)
        version = row.version if row else expected_version
        return await super().fire_schedule(queue, name, version, next_at, jobs, now=now)


@saboteur("SCH-02")
class FireStopsAtADuplicate(Saboteur):
    """A job that is there already makes the whole fire fail."""

    async def fire_schedule(
        self,
        queue: str,
        name: str,
        expected_version: int,
        next_at: datetime | None,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> Fired:
        there = await self.states([job.key for job in jobs])
        if any(there):
            fired = await super().fire_schedule(queue, name, -1, next_at, [], now=now)
            return replace(fired, status=FireStatus.CONFLICT)
        return await super().fire_schedule(queue, name, expected_version, next_at, jobs, now=now)


@saboteur("SCH-03")
class JobsBeforeTheVersion(Saboteur):
    """The jobs are enqueued, and then the version is compared."""

    async def fire_schedule(
        self,
        queue: str,
        name: str,
        expected_version: int,
        next_at: datetime | None,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> Fired:
        answers = await self.enqueue(jobs, now=now)
        await asyncio.sleep(0)
        fired = await super().fire_schedule(queue, name, expected_version, next_at, [], now=now)
        return replace(fired, enqueued=answers if fired.status is FireStatus.FIRED else [])


@saboteur("SCH-04")
class MissedTicksAreMoved(Saboteur):
    """A tick in the past is moved up to now."""

    async def put_schedule(
        self,
        queue: str,
        name: str,
        definition: bytes,
        next_at: When,
        *,
        now: datetime | None = None,
    ) -> Schedule:
        if isinstance(next_at, At) and now is not None:
            next_at = At(max(next_at.time, now))
        return await super().put_schedule(queue, name, definition, next_at, now=now)


@saboteur("SCH-05")
class FiredEarly(Saboteur):
    """A tick is fired by a clock that is ahead."""

    async def fire_schedule(
        self,
        queue: str,
        name: str,
        expected_version: int,
        next_at: datetime | None,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> Fired:
        ahead = now and now + timedelta(seconds=1)
        fired = await super().fire_schedule(queue, name, expected_version, next_at, jobs, now=ahead)
        return replace(fired, now=now or fired.now)


@saboteur("SCH-06")
class PutResetsTheNextTick(Saboteur):
    """Every start of an application moves its schedules."""

    async def put_schedule(
        self,
        queue: str,
        name: str,
        definition: bytes,
        next_at: When,
        *,
        now: datetime | None = None,
    ) -> Schedule:
        await super().put_schedule(queue, name, b"reset", next_at, now=now)
        return await super().put_schedule(queue, name, definition, next_at, now=now)


@saboteur("SCH-08")
class ListInAnyOrder(Saboteur):
    """Schedules are listed as they come."""

    async def list_schedules(
        self, queues: Sequence[str], *, now: datetime | None = None
    ) -> ScheduleBook:
        book = await super().list_schedules(queues, now=now)
        return ScheduleBook(list(reversed(book.schedules)), book.now)


@saboteur("SCH-09")
class VersionsStartAgain(Saboteur):
    """A schedule that was removed and put again counts its versions from one."""

    async def remove_schedule(self, queue: str, name: str) -> bool:
        [before] = [row for row in await self._rows(queue) if row.name == name]
        self.notes["removed"][queue, name] = before.version
        return await super().remove_schedule(queue, name)

    async def put_schedule(
        self,
        queue: str,
        name: str,
        definition: bytes,
        next_at: When,
        *,
        now: datetime | None = None,
    ) -> Schedule:
        row = await super().put_schedule(queue, name, definition, next_at, now=now)
        return self._renumbered(row)

    async def list_schedules(
        self, queues: Sequence[str], *, now: datetime | None = None
    ) -> ScheduleBook:
        book = await super().list_schedules(queues, now=now)
        return replace(book, schedules=[self._renumbered(row) for row in book.schedules])

    async def fire_schedule(
        self,
        queue: str,
        name: str,
        expected_version: int,
        next_at: datetime | None,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> Fired:
        version = expected_version + self.notes["removed"].get((queue, name), 0)
        return await super().fire_schedule(queue, name, version, next_at, jobs, now=now)

    async def _rows(self, queue: str) -> list[Schedule]:
        return (await super().list_schedules([queue])).schedules

    def _renumbered(self, row: Schedule) -> Schedule:
        before: int = self.notes["removed"].get((row.queue, row.name), 0)
        return replace(row, version=row.version - before)
