"""The invariants of unique keys: held by one job at a time, and free when nobody holds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import inf

from stoker.driver import EnqueueStatus, Unique, Until
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History, Job, Sent
from stoker_conformance.history.finding import Finding
from stoker_conformance.history.possible import terminal_moves, vanishings

__all__ = ["unique"]


@dataclass(frozen=True, slots=True)
class _Hold:
    """A time in which a job certainly held its key; keys until a given time are not among them,
    for they end by a clock."""

    job: Job
    taken: Operation
    start: float
    end: float

    def meets(self, other: _Hold) -> bool:
        """Whether both held the key at one moment."""
        return max(self.start, other.start) < min(self.end, other.end)


def unique(history: History) -> Iterator[Finding]:
    """Two jobs never hold a unique key at once, and a key that was never taken is free."""
    for (_, key), sends in history.by_unique_key.items():
        holds: defaultdict[Job, list[_Hold]] = defaultdict(list)
        for sent in sends:
            job = history.jobs[sent.job.key]
            if job not in holds:
                holds[job] = list(_holds(history, job, key))
        for (_, mine), (_, others) in combinations(holds.items(), 2):
            for one in mine:
                for other in others:
                    if one.meets(other):
                        what = f"{one.job.key.id} and {other.job.key.id} both held {key!r}"
                        evidence = (one.taken, other.taken)
                        yield Finding(what, evidence, one.job.key, other.job.key)
        yield from _refused_for_nothing(key, sends)


def _holds(history: History, job: Job, key: str) -> Iterator[_Hold]:
    """Return when a job certainly held its key: from a taking until the first possible end."""
    [*uniques] = {sent.job.unique for sent in job.sends if sent.may}
    if len(uniques) != 1 or not isinstance(uniques[0], Unique):
        return  # several requests of one id: which of them is stored is not clear
    if uniques[0].key != key:
        return
    until = uniques[0].until
    if not isinstance(until, Until):
        return
    frees = [operation for operation, _ in terminal_moves(history, job)]
    frees += vanishings(history, job)
    if until is Until.START:
        frees += [leased.op for run in job.runs.values() for leased in run.leases]
        frees += [reaping.op for reaping in job.reapings()]
        frees += history.of_unknown_outcome("claim", job.key.queue)
    for sent in [one for one in job.sends if one.inserted][:1]:
        # An earlier send, whose answer was lost, may be the one that took the key.
        since = min(one.op.invoked for one in job.sends if one.may)
        yield _Hold(job, sent.op, sent.op.latest, _first_end(frees, since))
    for change in job.changed_by("retry"):
        if change.done:
            yield _Hold(job, change.op, change.op.latest, _first_end(frees, change.op.invoked))


def _first_end(frees: list[Operation], since: int) -> float:
    return min((free.invoked for free in frees if free.latest >= since), default=inf)


def _refused_for_nothing(key: str, sends: list[Sent]) -> Iterator[Finding]:
    """A conflict needs a job that may have been stored with the key: another one, or an earlier one
    of the same id, whose record has gone and left a key until a time behind."""
    for sent in sends:
        if sent.answer is None or sent.answer.status is not EnqueueStatus.UNIQUE_CONFLICT:
            continue
        others = (one for one in sends if one is not sent and one.may)
        if not any(one.op.invoked <= sent.op.latest for one in others):
            what = f"a conflict about {key!r}, which nobody had taken"
            yield Finding(what, (sent.op,), sent.job.key)
