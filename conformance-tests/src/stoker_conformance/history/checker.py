"""The checker: every invariant, as data, held against a history.

It judges by intervals and tokens. Whatever may have happened (an operation that overlaps, or whose
outcome nobody knows) excuses what it could explain: so a finding is a defect of the driver, or of
the clock of the host, and never bad luck.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from stoker.driver import JobKey
from stoker_conformance.expect import Inconclusive, Violation
from stoker_conformance.history.coverage import Coverage, coverage_of
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History
from stoker_conformance.history.finding import Check, Finding
from stoker_conformance.history.invariants import (
    answers,
    counters,
    finality,
    keys,
    leases,
    order,
    stored,
    times,
    tokens,
)
from stoker_conformance.history.telling import tell

__all__ = ["INVARIANTS", "Invariant", "broken", "verify"]

_EACH: Final = 20
"""How many findings of one invariant are collected; the first is told, the others counted."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that holds in every history of a driver that keeps the contract."""

    id: str
    sentence: str
    check: Check


INVARIANTS: Final = (
    Invariant("aligned", "Each item of a call has its own answer, in order.", answers.aligned),
    Invariant("no-phantom", "Only what was sent is there.", stored.no_phantom),
    Invariant("no-loss", "What was acknowledged is there until its end.", stored.no_loss),
    Invariant("durable", "What was acknowledged outlives its client.", finality.durable),
    Invariant("exclusive-lease", "No job is leased to two at once.", leases.exclusive),
    Invariant("fencing", "Nothing applies on a token that has ended.", tokens.fencing),
    Invariant("ends-once", "Each token is ended once.", tokens.ends_once),
    Invariant("valid", "A token that nothing ended is valid.", tokens.valid),
    Invariant("replay", "The last settlement, sent again, is ALREADY.", tokens.replay),
    Invariant("terminal", "A job that has ended stays so.", finality.terminal),
    Invariant("epochs", "Epochs rise in a queue and never repeat.", leases.epochs),
    Invariant("steps", "Attempts, crashes and snoozes step by one.", counters.steps),
    Invariant("attempt-range", "A lease has attempt 1 to max_attempts.", leases.attempt_range),
    Invariant("never-early", "Nothing is claimed or reaped before its time.", times.never_early),
    Invariant("claimable", "What is ready, due or expired is found.", times.claimable),
    Invariant("order", "A lone claim takes what is first.", order.order),
    Invariant("paused", "A paused queue gives no jobs.", leases.pause),
    Invariant("idempotent-enqueue", "An id is stored once.", stored.idempotent),
    Invariant("unique", "A unique key is held by one job at a time.", keys.unique),
    Invariant("payload", "A job comes out as it went in.", stored.payload),
    Invariant("read-your-writes", "What returned is seen by all.", stored.read_your_writes),
    Invariant("conservation", "Counts add up to the jobs there are.", answers.conservation),
)
"""In the order in which they are told: what comes first often explains what comes later."""


def broken(history: History) -> dict[Invariant, list[Finding]]:
    """Return the invariants that a history breaks, with the first findings of each."""
    found = {one: list(islice(one.check(history), _EACH)) for one in INVARIANTS}
    return {one: findings for one, findings in found.items() if findings}


def verify(operations: Iterable[Operation], least: Coverage, name: str = "the history") -> Coverage:
    """Return what a history puts to the test, when it breaks nothing.

    Args:
        operations: of all clients.
        least: what the history has to hold to prove anything.
        name: how to call it in a failure, such as by its seed.

    Raises:
        Violation: it breaks an invariant.
        Inconclusive: it breaks none, but holds too little.
    """
    history = History(operations)
    found = broken(history)
    if found:
        [(first, findings), *rest] = found.items()
        finding = findings[0]
        seen = f"{finding.what}\n{tell(finding.evidence, _jobs_of(finding))}"
        others = [(first, findings[1:]), *rest]
        more = [f"{one.id} ({len(those)})" for one, those in others if those]
        if more:
            seen += f"\n  also:     {', '.join(more)}"
        about = "".join(f", {key.queue}/{key.id}" for key in _jobs_of(finding))
        raise Violation(f"{first.id} in {name}{about}", first.sentence, seen)
    coverage = coverage_of(history)
    missing = coverage.missing(least)
    if missing:
        raise Inconclusive(f"{name} proves nothing: {'; '.join(missing)}")
    return coverage


def _jobs_of(finding: Finding) -> list[JobKey]:
    return [key for key in (finding.key, finding.other) if key is not None]
