"""Defects of users' transactions that meet others, on the driver that has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

import aiosqlite

from saboteurs.base import saboteur
from stoker.driver import (
    Enqueued,
    Extended,
    ExtendStatus,
    Extension,
    NewJob,
)
from stoker.errors import DriverUnavailable
from stoker_sqlite import SqliteDriver
from stoker_sqlite._connection import run
from stoker_sqlite._enqueue import enqueue
from stoker_sqlite._times import moment, system_now
from stoker_sqlite._transaction import Transaction


@saboteur("TXN-04")
class FailuresAreDressedUp(SqliteDriver):
    """The client library's failure comes as one of the driver's, as if it could be sent again."""

    async def enqueue_in(
        self,
        connection: aiosqlite.Connection,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> list[Enqueued]:
        try:
            return await super().enqueue_in(connection, jobs, now=now)
        except sqlite3.Error as error:
            raise DriverUnavailable("the store is busy", maybe_applied=False) from error


@saboteur("TXN-04")
class RetriesOutsideTheTransaction(SqliteDriver):
    """When the transaction cannot go on, the jobs are stored without it."""

    async def enqueue_in(
        self,
        connection: aiosqlite.Connection,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> list[Enqueued]:
        try:
            return await super().enqueue_in(connection, jobs, now=now)
        except sqlite3.Error:
            return await self.enqueue(jobs, now=now)


@saboteur("TXN-09")
class HeldIsLost(SqliteDriver):
    """A record that a transaction holds is taken for one that is not there."""

    async def extend(
        self, items: Sequence[Extension], *, lease: timedelta, now: datetime | None = None
    ) -> list[Extended]:
        return [
            Extended(ExtendStatus.STALE) if answer.status is ExtendStatus.BUSY else answer
            for answer in await super().extend(items, lease=lease, now=now)
        ]


@saboteur("TXN-10")
class UsersCursor(SqliteDriver):
    """The driver reads with whatever cursor the user's connection makes."""

    async def enqueue_in(
        self,
        connection: aiosqlite.Connection,
        jobs: Sequence[NewJob],
        *,
        now: datetime | None = None,
    ) -> list[Enqueued]:
        at = moment(now) or system_now()
        return await run(connection, lambda raw: enqueue(Transaction(raw.cursor()), list(jobs), at))


@saboteur("TXN-12")
class GivenUpIsUncertain(SqliteDriver):
    """A wait for a lock that was given up is called an unknown outcome."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        try:
            return await super().enqueue(jobs, now=now)
        except DriverUnavailable as error:
            raise DriverUnavailable("the store is busy", maybe_applied=True) from error
