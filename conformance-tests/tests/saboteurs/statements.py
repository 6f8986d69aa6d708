"""Defects of statements: the driver on SQLite, with its texts and transactions changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from saboteurs.base import saboteur
from stoker.driver import At, Enqueued, JobKey, JobRecord, NewJob, Promoted
from stoker_sqlite import SqliteDriver
from stoker_sqlite._sql import statement
from stoker_sqlite._transaction import Transaction

T = TypeVar("T")


class _ChangedTransaction(Transaction):
    """Runs other statements than it is asked for."""

    __slots__ = ("_changes",)

    def __init__(self, tx: Transaction, changes: Mapping[str, tuple[str, str]]) -> None:
        self.cursor = tx.cursor
        self.hints = tx.hints
        self._changes = changes

    def do(self, name: str, parameters: Mapping[str, object]) -> int:
        return self.cursor.execute(self._text(name), parameters).rowcount

    def rows(self, name: str, parameters: Mapping[str, object]) -> list[Any]:
        return self.cursor.execute(self._text(name), parameters).fetchall()

    def _text(self, name: str) -> str:
        text = statement(name)
        if name in self._changes:
            right, wrong = self._changes[name]
            assert right in text, f"{name}.sql does not say {right!r} any more"
            text = text.replace(right, wrong)
        return text


class _Changed(SqliteDriver):
    """Writes with some of its statements changed."""

    changes: ClassVar[Mapping[str, tuple[str, str]]]
    """By the name of a statement: what it says, and what it says in place of that."""

    async def open(self) -> None:
        await super().open()
        assert self._client is not None
        writer = self._client.writer
        run, changes = type(writer).run, self.changes

        async def run_changed(operation: Callable[[Transaction], T]) -> T:
            return await run(writer, lambda tx: operation(_ChangedTransaction(tx, changes)))

        writer.run = run_changed  # type: ignore[method-assign]


@saboteur("DLY-01")
class ClaimsWithoutStateGuard(_Changed):
    """A claim takes what has a place, in whatever state."""

    changes: ClassVar = {
        "claim_ready": (
            "indexed by stoker_jobs_ready\n    where queue = :queue and state = 'ready'",
            "where queue = :queue and state in ('ready', 'scheduled')",
        )
    }


@saboteur("DLY-03")
class PromotesWithoutStateGuard(_Changed):
    """A promote takes what has a run_at in the past, in whatever state."""

    changes: ClassVar = {
        "promote": (
            "indexed by stoker_jobs_scheduled\n    where queue = :queue and state = 'scheduled'",
            "where queue = :queue and state <> 'ready'",
        )
    }


@saboteur("FNC-01", "FNC-02")
class EpochIsTheAttempt(_Changed):
    """A claim numbers its leases by the attempts of their job, which a reap takes back."""

    changes: ClassVar = {"claim": ("epoch = :epoch + 1 + e.key", "epoch = attempt + 1")}


@saboteur("LSE-02")
class ExtendsOnlyForward(_Changed):
    """An extend never moves an expiry back."""

    changes: ClassVar = {
        "extend": ("expires_at = :expires_at", "expires_at = max(expires_at, :expires_at)")
    }


@saboteur("RTY-10")
class RetriedKeepsItsPlace(_Changed):
    """What becomes ready again is where it was in the order before."""

    changes: ClassVar = {"pend": ("place = :place + e.key", "place = place + 0 * e.key")}


class _Deferred:
    """A connection on which no transaction asks for the write lock when it begins."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        vars(self)["_raw"] = raw

    def execute(self, text: str) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self._raw.execute(text.replace("begin immediate", "begin"))
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_raw"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._raw, name, value)


@saboteur("CLM-04")
class DeferredTransactions(SqliteDriver):
    """A transaction reads first, and asks for the write lock when another has written."""

    async def open(self) -> None:
        await super().open()
        assert self._client is not None
        writer = self._client.writer
        commit = type(writer)._commit

        def commit_deferred(raw: sqlite3.Connection, group: Sequence[Any]) -> int:
            return commit(writer, _Deferred(raw), group)  # type: ignore[arg-type]

        writer._commit = commit_deferred  # type: ignore[method-assign]


@saboteur("DLY-07")
class NaiveLocalTimes(SqliteDriver):
    """Times are stored as the wall clock of the client's zone shows them."""

    async def enqueue(
        self, jobs: Sequence[NewJob], *, now: datetime | None = None
    ) -> list[Enqueued]:
        local = [
            replace(job, run_at=At(_to_wall(job.run_at.time)))
            if isinstance(job.run_at, At) and job.run_at.time.tzinfo
            else job
            for job in jobs
        ]
        return await super().enqueue(local, now=now and _to_wall(now))

    async def promote(
        self, queues: Sequence[str], *, limit: int, now: datetime | None = None
    ) -> Promoted:
        return await super().promote(queues, limit=limit, now=now and _to_wall(now))

    async def get(self, keys: Sequence[JobKey]) -> list[JobRecord | None]:
        return [
            record
            and replace(
                record,
                enqueued_at=_from_wall(record.enqueued_at),
                run_at=_from_wall(record.run_at),
            )
            for record in await super().get(keys)
        ]


def _to_wall(moment: datetime) -> datetime:
    return moment + _offset(moment)


def _from_wall(moment: datetime) -> datetime:
    return moment - _offset(moment)


def _offset(moment: datetime) -> timedelta:
    return moment.astimezone().utcoffset() or timedelta(0)
