"""Invariants of leases: who gets a job, with which epoch and counters, and when not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from stoker.driver import Lease
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History, Job, Leased, Run
from stoker_conformance.history.finding import Finding
from stoker_conformance.history.possible import ends, surely_ended

__all__ = ["attempt_range", "epochs", "exclusive", "pause"]


def exclusive(history: History) -> Iterator[Finding]:
    """A job is not leased again before its lease can have been ended."""
    for job in history.jobs.values():
        runs = job.claimed_runs()
        for run in runs:
            for second in run.leases[1:]:
                if not _over_before(job, run, second.op):
                    what = "one token was handed out twice"
                    yield Finding(what, (run.first.op, second.op), job.key)
        for run, following in pairwise(runs):
            claim, again = run.first.op, following.first.op
            if again.before(claim):
                continue  # a matter of epochs
            if not any(end.invoked < again.latest for end in ends(history, job, run)):
                what = "a job was leased again, and nothing had ended its lease"
                yield Finding(what, (claim, again), job.key)


def epochs(history: History) -> Iterator[Finding]:
    """In a queue epochs rise from claim to claim, and none is issued twice."""
    by_queue: defaultdict[str, list[Leased]] = defaultdict(list)
    for claim in history.by_name["claim"]:
        if claim.answered:
            for lease in claim.answer.leases:
                by_queue[lease.token.key.queue].append(Leased(claim, lease))
    for leases in by_queue.values():
        yield from _repeated(history, leases)
        yield from _falling(leases)


def _repeated(history: History, leases: list[Leased]) -> Iterator[Finding]:
    owners: dict[int, Leased] = {}
    for leased in leases:
        token = leased.lease.token
        first = owners.setdefault(token.epoch, leased)
        if first is leased:
            continue
        job = history.jobs[token.key]
        again = first.lease.token == token
        if not again or _over_before(job, job.run(token), leased.op):
            yield Finding(f"epoch {token.epoch} was issued twice", (first.op, leased.op))


def _falling(leases: list[Leased]) -> Iterator[Finding]:
    """Compare each claim with the highest epoch of those that returned before it began."""
    returned = sorted(leases, key=lambda leased: leased.op.latest)
    highest: Leased | None = None
    position = 0
    for leased in leases:
        while position < len(returned) and returned[position].op.before(leased.op):
            if highest is None or _epoch(returned[position]) > _epoch(highest):
                highest = returned[position]
            position += 1
        if highest is not None and _epoch(leased) < _epoch(highest):
            what = f"epoch {_epoch(leased)} was issued after {_epoch(highest)}"
            yield Finding(what, (highest.op, leased.op))
            return


def attempt_range(history: History) -> Iterator[Finding]:
    """The attempt of a lease is 1 to max_attempts."""
    for job, leased in _leases(history):
        lease = leased.lease
        if not 1 <= lease.attempt <= lease.max_attempts:
            what = f"a lease with attempt {lease.attempt} of {lease.max_attempts}"
            yield Finding(what, (leased.op,), job.key)


def pause(history: History) -> Iterator[Finding]:
    """After a pause has returned, and before a resume can have begun, nothing is claimed."""
    by_queue: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in history.by_name["pause"]:
        by_queue[operation.arguments["queue"]].append(operation)
    if not by_queue:
        return
    for claim in history.by_name["claim"]:
        if not claim.answered:
            continue
        for queue in {lease.token.key.queue for lease in claim.answer.leases}:
            held_by = _pause_that_holds(by_queue.get(queue, []), claim)
            if held_by is not None:
                yield Finding(f"{queue} was paused, and gave jobs", (held_by, claim))


def _pause_that_holds(operations: list[Operation], claim: Operation) -> Operation | None:
    pauses = [one for one in operations if one.answered and one.arguments["paused"]]
    before = [one for one in pauses if one.before(claim)]
    if not before:
        return None
    last = max(before, key=lambda one: one.invoked)
    resumes = (one for one in operations if not one.arguments["paused"] and one.refusal is None)
    lifted = any(one.latest >= last.invoked and one.invoked <= claim.latest for one in resumes)
    return None if lifted else last


def _over_before(job: Job, run: Run, claim: Operation) -> bool:
    """Whether a token had certainly ended before a claim began."""
    return any(end.before(claim) for end in surely_ended(job, run) if end is not claim)


def _leases(history: History) -> Iterator[tuple[Job, Leased]]:
    for job in history.jobs.values():
        for run in job.runs.values():
            for leased in run.leases:
                yield job, leased


def _epoch(leased: Leased) -> int:
    lease: Lease = leased.lease
    return lease.token.epoch
