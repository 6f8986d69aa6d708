"""What all saboteurs share: the strict driver below, and notes that a store's clients share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from harnesses import MemoryHarness, SqliteHarness
from networked import NetworkedDriver, NetworkedHarness, NetworkedMemoryDriver

from stoker.driver import (
    Driver,
    JobKey,
    JobQuery,
    JobRecord,
    JobState,
    NewJob,
    Outcome,
    Settlement,
    Token,
)
from stoker_conformance import Case, Harness, run_case
from stoker_memory import MemoryDriver
from stoker_sqlite import SqliteDriver

D = TypeVar("D", bound=Driver)

SABOTEURS: dict[type[Driver], tuple[str, ...]] = {}
"""The table: each saboteur, and the ids of the cases that must be red for it."""

_STRICT = (MemoryDriver, SqliteDriver, NetworkedDriver, NetworkedMemoryDriver)

_notes: defaultdict[str, defaultdict[str, dict[Any, Any]]] = defaultdict(lambda: defaultdict(dict))


class Saboteur(MemoryDriver):
    """The strict driver; a subclass breaks one thing."""

    def __init__(self, url: str = "memory://") -> None:
        super().__init__(url)
        self.notes = _notes[url]
        """Tables by name, shared by all clients of the store, as a store would keep them."""

    async def everything(self, queue: str, *states: JobState) -> list[JobRecord]:
        """Return the records of a queue that are in one of `states`; without any, all."""
        query = JobQuery(states=frozenset(states) or None, limit=1_000)
        return (await MemoryDriver.search(self, queue, query)).records

    async def record(self, key: JobKey) -> JobRecord | None:
        """Return the strict record of a job."""
        return (await MemoryDriver.get(self, [key]))[0]

    async def put_back(self, record: JobRecord, now: datetime | None, **changes: Any) -> None:
        """Remove a job, and enqueue it again as it was at first."""
        await MemoryDriver.remove(self, [record.key])
        job = NewJob(
            key=record.key,
            name=record.name,
            payload=record.payload,
            max_attempts=record.max_attempts,
            max_crashes=record.max_crashes,
        )
        await MemoryDriver.enqueue(self, [replace(job, **changes)], now=now)

    async def current(self, token: Token) -> Token:
        """Return the token that is valid for a job now, whatever its epoch."""
        record = await self.record(token.key)
        return token if record is None else Token(token.key, record.epoch)


def saboteur(*killers: str) -> Callable[[type[D]], type[D]]:
    """Enter a saboteur into the table, with the cases that must be red for it."""

    def enter(cls: type[D]) -> type[D]:
        SABOTEURS[cls] = killers
        return cls

    return enter


class SaboteurHarness(MemoryHarness):
    """A harness for a driver that takes the place of the one in memory."""

    def __init__(self, driver: Callable[[str], Driver]) -> None:
        self.driver = driver

    async def connect(self, namespace: str) -> Driver:
        return self.driver(f"memory://{namespace}")


class SqliteSaboteurHarness(SqliteHarness):
    """A harness for a driver that takes the place of the one on SQLite."""

    def __init__(self, driver: type[SqliteDriver]) -> None:
        self.driver = driver

    async def connect(self, namespace: Path) -> Driver:
        return self.driver(namespace)


def harness_of(driver: Callable[[str], Driver]) -> Harness[Any]:
    """Return a harness for a driver that takes the place of a strict one."""
    kind = driver if isinstance(driver, type) else None
    if kind is not None and issubclass(kind, SqliteDriver):
        return SqliteSaboteurHarness(kind)
    if kind is not None and issubclass(kind, NetworkedDriver):
        return NetworkedHarness(kind)
    return SaboteurHarness(driver)


def strict_of(driver: type[Driver]) -> type[Driver]:
    """Return the strict driver that a saboteur is made of."""
    return next(base for base in driver.__mro__ if base in _STRICT)


async def run_against(driver: Callable[[str], Driver], case: Case) -> None:
    """Run a case against a driver, whose server, if it has one, is started and killed for it."""
    harness = harness_of(driver)
    try:
        await harness.setup()
        await run_case(case, harness)
    finally:
        await harness.teardown()


def with_outcomes(
    items: Iterable[Settlement], change: Callable[[Outcome], Outcome]
) -> Sequence[Settlement]:
    """Return the settlements with other outcomes."""
    return [replace(item, outcome=change(item.outcome)) for item in items]
