"""How much a history puts to the test: one in which nothing met proves nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from stoker.driver import SettleStatus
from stoker_conformance.history.events import READS, Operation
from stoker_conformance.history.facts import History, Settling

__all__ = ["Coverage", "coverage_of"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts of what makes a history worth checking; also the least that is asked of one."""

    overlaps: int = 0
    """Operations that another client's overlapped."""
    reaps: int = 0
    """Leases that a reap ended."""
    stale: int = 0
    """Settlements that came too late and were told so."""
    replays: int = 0
    """Settlements that were sent again and recognised."""
    unknown: int = 0
    """Operations whose outcome nobody knows."""

    def __add__(self, other: Coverage) -> Coverage:
        return Coverage(*(a + b for a, b in zip(self._counts(), other._counts(), strict=True)))

    def missing(self, least: Coverage) -> list[str]:
        """Return, in words, what falls short of `least`."""
        return [
            f"{field.name}: {has}, at least {wanted} are needed"
            for field, has, wanted in zip(
                fields(self), self._counts(), least._counts(), strict=True
            )
            if has < wanted
        ]

    def _counts(self) -> list[int]:
        return [getattr(self, field.name) for field in fields(self)]


def coverage_of(history: History) -> Coverage:
    """Count what a history puts to the test."""
    statuses = [one.answer.status for one in _settlings(history) if one.answer is not None]
    return Coverage(
        overlaps=_overlaps(one for one in history.operations if one.name not in READS),
        reaps=sum(len(one.answer) for one in history.by_name["reap"] if one.answered),
        stale=statuses.count(SettleStatus.STALE),
        replays=statuses.count(SettleStatus.ALREADY),
        unknown=sum(one.unknown for one in history.operations),
    )


def _overlaps(operations: Iterable[Operation]) -> int:
    """Count the operations that began before one of another client had returned."""
    number = 0
    latest: dict[str, int] = {}
    for one in operations:
        number += any(
            moment >= one.invoked for client, moment in latest.items() if client != one.client
        )
        if one.returned is not None:
            latest[one.client] = max(latest.get(one.client, 0), one.returned)
    return number


def _settlings(history: History) -> Iterator[Settling]:
    return (settling for job in history.jobs.values() for settling in job.settlings())
