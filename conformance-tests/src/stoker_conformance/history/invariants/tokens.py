"""Invariants of tokens: when they are valid, what ends them, and what a dead one is told."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from stoker.driver import ExtendStatus, SettleStatus
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import Extending, History, Job, Run, Settling
from stoker_conformance.history.finding import Finding
from stoker_conformance.history.possible import ends, surely_ended, vanishings, within

__all__ = ["ends_once", "fencing", "replay", "valid"]


def fencing(history: History) -> Iterator[Finding]:
    """Nothing applies on a token that had certainly ended before the call began."""
    for job, run in _runs(history):
        effects = [one.op for one in run.settlings if one.applied]
        effects += [one.op for one in run.extendings if one.answer and one.may]
        if not effects:
            continue
        enders = list(surely_ended(job, run))
        for effect in effects:
            for ender in enders:
                if ender is not effect and ender.before(effect):
                    what = f"a {effect.name} took effect on a token that had ended"
                    yield Finding(what, (*_claims(run), ender, effect), job.key)
                    break


def ends_once(history: History) -> Iterator[Finding]:
    """A token is ended by one settlement or reap, also when several meet."""
    for job, run in _runs(history):
        enders = [one.op for one in run.settlings if one.applied]
        enders += [one.op for one in run.reapings]
        for first, second in combinations(enders, 2):
            late_settle = (second.name == "settle" and first.before(second)) or (
                first.name == "settle" and second.before(first)
            )
            if not late_settle:  # that is a matter of fencing
                what = f"a {first.name} and a {second.name} both ended one token"
                yield Finding(what, (*_claims(run), first, second), job.key)


def valid(history: History) -> Iterator[Finding]:
    """A token that nothing can have ended yet is taken by settle and extend."""
    for job, run in _runs(history):
        if not run.leases:
            continue
        told: list[Settling | Extending] = [*run.settlings, *run.extendings]
        refused = [one for one in told if _refused(one)]
        if not refused:
            continue
        enders = list(ends(history, job, run))
        later = _later_claims(job, run)
        for one in refused:
            over = any(ender.invoked < one.op.latest for ender in (*enders, *later))
            if run.first.op.before(one.op) and not over:
                what = f"a {one.op.name} was refused a token that nothing had ended"
                yield Finding(what, (run.first.op, one.op), job.key)


def replay(history: History) -> Iterator[Finding]:
    """The last settlement, sent again, is ALREADY with its state; another kind is not."""
    for job, run in _runs(history):
        for again in run.settlings:
            if again.answer is None or again.applied:
                continue
            if again.answer.status is SettleStatus.ALREADY:
                found = _unfounded_already(run, again)
            else:
                found = _forgotten(history, job, run, again)
            if found is not None:
                what, evidence = found
                yield Finding(what, (*_claims(run), *evidence), job.key)


def _unfounded_already(run: Run, again: Settling) -> tuple[str, tuple[Operation, ...]] | None:
    """An ALREADY needs the same kind before it, and tells the state that it led to."""
    same = [one for one in run.settlings if one is not again and one.kind == again.kind]
    possible = [one for one in same if one.may and one.op.invoked < again.op.latest]
    if not possible:
        others = [one.op for one in run.settlings if one.applied]
        return f"{again.kind} is ALREADY, and had never been applied", (*others, again.op)
    [first, *more] = possible
    if not more and first.answer and again.answer and first.answer.state is not again.answer.state:
        return "ALREADY does not tell the state of the first time", (first.op, again.op)
    return None


def _forgotten(
    history: History, job: Job, run: Run, again: Settling
) -> tuple[str, tuple[Operation, ...]] | None:
    """A settlement that was applied, and nothing since, is not refused when it comes again."""
    same = [one for one in run.settlings if one.applied and one.kind == again.kind]
    firsts = [one for one in same if one.op.before(again.op)]
    if not firsts:
        return None
    first = firsts[0]
    since = [
        *(change.op for change in job.changed_by("retry", "remove")),
        *_later_claims(job, run),
        *(reaping.op for reaping in job.reapings()),
        *history.of_unknown_outcome("claim", job.key.queue),
        *vanishings(history, job),
    ]
    if any(within(since, first.op, again.op)):
        return None
    return f"{again.kind}, sent again, was not recognised", (first.op, again.op)


def _runs(history: History) -> Iterator[tuple[Job, Run]]:
    return ((job, run) for job in history.jobs.values() for run in job.runs.values())


def _claims(run: Run) -> tuple[Operation, ...]:
    return tuple(leased.op for leased in run.leases[:1])


def _later_claims(job: Job, run: Run) -> list[Operation]:
    later = (one for epoch, one in job.runs.items() if epoch > run.token.epoch)
    return [leased.op for one in later for leased in one.leases]


def _refused(one: Settling | Extending) -> bool:
    """Whether a token was called dead."""
    return one.answer is not None and one.answer.status in (
        SettleStatus.STALE,
        SettleStatus.GONE,
        ExtendStatus.STALE,
        ExtendStatus.GONE,
    )
