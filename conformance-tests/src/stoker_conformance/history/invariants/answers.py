"""Invariants of answers: each item has its own, limits hold, and counts add up."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from stoker.driver import JobState, QueueStats
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History
from stoker_conformance.history.finding import Finding
from stoker_conformance.history.possible import ends, vanishings

__all__ = ["aligned", "conservation"]

_ITEMS: Final = {
    "enqueue": "jobs",
    "extend": "items",
    "settle": "items",
    "get": "keys",
    "states": "keys",
    "cancel": "keys",
    "retry": "keys",
    "reschedule": "keys",
    "remove": "keys",
}
"""By operation, the argument whose items have an answer each."""


def aligned(history: History) -> Iterator[Finding]:
    """Each item has its own answer, in order; claims and reaps stay within what was asked."""
    for operation in history.operations:
        what = _misaligned(operation) if operation.answered else None
        if what is not None:
            yield Finding(what, (operation,))


def _misaligned(operation: Operation) -> str | None:
    name, arguments, answer = operation.name, operation.arguments, operation.answer
    if name in _ITEMS:
        items: list[Any] = arguments[_ITEMS[name]]
        if len(items) != len(answer):
            return f"{len(answer)} answers to {len(items)} items"
        if name == "get":
            pairs = zip(items, answer, strict=True)
            if any(record is not None and record.key != key for key, record in pairs):
                return "a record came in the place of another"
    if name == "claim":
        wanted = {want.queue: want.limit for want in arguments["wants"]}
        return _beyond(Counter(lease.token.key.queue for lease in answer.leases), wanted)
    if name == "reap":
        limit: int = arguments["limit"]
        wanted = dict.fromkeys(arguments["queues"], limit)
        return _beyond(Counter(reaped.lease.token.key.queue for reaped in answer), wanted)
    return None


def _beyond(counts: Counter[str], wanted: Mapping[str, int]) -> str | None:
    for queue, number in counts.items():
        if queue not in wanted:
            return f"{queue} was not asked for"
        if number > wanted[queue]:
            return f"{number} of {queue}, where at most {wanted[queue]} were asked for"
    return None


@dataclass(slots=True)
class _Ledger:
    """When the jobs of a queue came, at the earliest and at the latest, and ran, sorted."""

    may_come: list[float] = field(default_factory=list)
    surely_came: list[float] = field(default_factory=list)
    """Of jobs that nothing can have taken away."""
    runs_from: list[float] = field(default_factory=list)
    runs_until: list[float] = field(default_factory=list)

    def sort(self) -> None:
        for moments in (self.may_come, self.surely_came, self.runs_from, self.runs_until):
            moments.sort()

    def most(self, moment: float) -> int:
        """Return how many jobs there can be at most."""
        return bisect_left(self.may_come, moment)

    def least(self, moment: float) -> int:
        """Return how many jobs there have to be."""
        return bisect_left(self.surely_came, moment)

    def running(self, stats: Operation) -> int:
        """Return how many jobs certainly ran all through a call."""
        begun = bisect_left(self.runs_from, stats.invoked)
        over = bisect_left(self.runs_until, (stats.returned or 0) + 1)
        return max(0, begun - over)


def conservation(history: History) -> Iterator[Finding]:
    """Counts are never negative, and add up to the jobs that are there."""
    counted = [one for one in history.by_name["stats"] if one.answered]
    if not counted:
        return
    ledgers = _ledgers(history)
    for stats in counted:
        for queue, of_queue in stats.answer.items():
            what = _miscounted(ledgers.get(queue, _Ledger()), stats, of_queue)
            if what is not None:
                yield Finding(f"{queue}: {what}", (stats,))
    yield from _final_counts(history, counted[-1])


def _miscounted(ledger: _Ledger, stats: Operation, of_queue: QueueStats) -> str | None:
    counts = of_queue.counts
    if any(number < 0 for number in counts.values()):
        return "a negative count"
    if of_queue.at_least:
        return None
    total, running = sum(counts.values()), counts[JobState.RUNNING]
    most, least = ledger.most(stats.latest), ledger.least(stats.invoked)
    if not least <= total <= most:
        return f"{total} jobs are counted; there are {least} to {most}"
    if running < ledger.running(stats):
        return f"{running} are counted as running; {ledger.running(stats)} certainly ran"
    return None


def _ledgers(history: History) -> dict[str, _Ledger]:
    ledgers: defaultdict[str, _Ledger] = defaultdict(_Ledger)
    for job in history.jobs.values():
        ledger = ledgers[job.key.queue]
        stored = [sent.op for sent in job.sends if sent.may]
        if stored:
            ledger.may_come.append(min(one.invoked for one in stored))
        certain = [sent.op.latest for sent in job.sends if sent.inserted]
        if certain and not vanishings(history, job):
            ledger.surely_came.append(min(certain))
        for run in job.runs.values():
            if run.leases:
                over = (end.invoked for end in ends(history, job, run))
                ledger.runs_from.append(run.first.op.latest)
                ledger.runs_until.append(min(over, default=inf))
    for ledger in ledgers.values():
        ledger.sort()
    return ledgers


def _final_counts(history: History, stats: Operation) -> Iterator[Finding]:
    """Compare the last counts with what reads before and after them agree about."""
    changed = (one.latest for one in history.operations if one.answered and not one.idle)
    quiet = max(changed, default=0)
    seen: defaultdict[str, Counter[JobState]] = defaultdict(Counter)
    reads: dict[str, Operation] = {}
    for job in history.jobs.values():
        before = [one for one in job.sights if one.op.before(stats)][-1:]
        after = [one for one in job.sights if stats.before(one.op)][:1]
        settled = [one.state for one in before] == [one.state for one in after]
        if not before or not settled or before[0].op.invoked <= quiet:
            return  # not everything was looked at while nothing else went on
        if before[0].state is not None:
            seen[job.key.queue][before[0].state] += 1
            reads[job.key.queue] = before[0].op
    for queue, of_queue in stats.answer.items():
        counts = Counter({state: number for state, number in of_queue.counts.items() if number})
        if not of_queue.at_least and counts != seen[queue]:
            what = f"{queue}: {_told(counts)} are counted, and {_told(seen[queue])} are there"
            evidence = (reads[queue], stats) if queue in reads else (stats,)
            yield Finding(what, evidence)


def _told(counts: Counter[JobState]) -> str:
    return ", ".join(f"{number} {state.value}" for state, number in counts.items()) or "none"
