"""Invariants of attempt, crashes and snoozes: each step is counted, once and by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from stoker.driver import Lease
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History, Job, Run
from stoker_conformance.history.finding import Finding
from stoker_conformance.history.possible import ends, resets, within

__all__ = ["steps"]


@dataclass(frozen=True, slots=True)
class _Counts:
    """What a lease may tell: attempt and snoozes exactly, crashes within bounds.

    A claim whose answer was lost leaves a lease that nobody sees, and a reap whose answer was lost
    may have ended it: so crashes may be more than what was seen.
    """

    attempt: int
    snoozes: int
    crashes: int
    most_crashes: int

    def fits(self, lease: Lease) -> bool:
        """Whether a lease tells this."""
        exact = (lease.attempt, lease.snoozes) == (self.attempt, self.snoozes)
        return exact and self.crashes <= lease.crashes <= self.most_crashes


def steps(history: History) -> Iterator[Finding]:
    """From lease to lease, attempt, crashes and snoozes move as the end of the first one says."""
    for job in history.jobs.values():
        runs = job.claimed_runs()
        if runs:
            yield from _first(history, job, runs[0])
        for run, following in pairwise(runs):
            yield from _next(history, job, run, following)
        for run in runs:
            yield from _reaped(job, run)


def _first(history: History, job: Job, run: Run) -> Iterator[Finding]:
    """The first lease of a job counts from nothing."""
    lease, claim = run.first.lease, run.first.op
    seen = _unclaimed_reaps(job, 0, run.token.epoch)
    again = len([sent for sent in job.sends if sent.may]) > 1 or any(job.changed_by("retry"))
    least = 0 if again else seen
    hidden = _hidden_crashes(history, job, None, claim)
    if not _Counts(1, 0, least, seen + hidden).fits(lease):
        yield Finding(f"the first lease of a job tells {_told(lease)}", (claim,), job.key)


def _next(history: History, job: Job, run: Run, following: Run) -> Iterator[Finding]:
    before, after = run.first, following.first
    if after.op.before(before.op):
        return  # a matter of epochs
    seen = _unclaimed_reaps(job, run.token.epoch, following.token.epoch)
    hidden = _hidden_crashes(history, job, before.op, after.op)
    anew = _Counts(1, 0, 0, before.lease.crashes + 1 + seen + hidden)
    if _surely_retried(job, before.op, after.op):
        possible = [anew]
    else:
        possible = [
            _Counts(attempt, snoozes, crashes + seen, crashes + seen + hidden)
            for attempt, snoozes, crashes in _after_ends(history, job, run, after.op)
        ]
        if not possible:
            return  # a matter of exclusive leases
        if resets(history, job, before.op, after.op):
            possible.append(anew)
    if not any(counts.fits(after.lease) for counts in possible):
        between = [one for one in ends(history, job, run) if one.invoked < after.op.latest]
        what = f"a lease tells {_told(after.lease)}, after {_told(before.lease)}"
        yield Finding(what, (before.op, *between[:3], after.op), job.key)


def _after_ends(
    history: History, job: Job, run: Run, claim: Operation
) -> Iterator[tuple[int, int, int]]:
    """Return attempt, snoozes and crashes of the next lease, for each way to end this one."""
    lease = run.first.lease
    attempt, snoozes, crashes = lease.attempt, lease.snoozes, lease.crashes
    known = any(one.applied for one in run.settlings) or bool(run.reapings)
    for settling in run.settlings:
        if settling.may and settling.applied == known and settling.op.invoked <= claim.latest:
            spent = settling.kind not in ("Release", "Snooze")
            snoozed = settling.kind == "Snooze"
            yield attempt + spent, snoozes + snoozed, crashes
    reaps = [one.op for one in run.reapings]
    if not known:
        reaps += [one for one in ends(history, job, run) if one.name == "reap"]
    if any(one.invoked <= claim.latest for one in reaps):
        yield attempt, snoozes, crashes + 1
    if any(change.op.invoked <= claim.latest for change in job.changed_by("remove")):
        yield 1, 0, 0


def _surely_retried(job: Job, before: Operation, after: Operation) -> bool:
    """Whether a manual retry has certainly let the job begin anew between two claims."""
    retries = (change.op for change in job.changed_by("retry") if change.done)
    return any(before.before(retry) and retry.before(after) for retry in retries)


def _reaped(job: Job, run: Run) -> Iterator[Finding]:
    """A reap tells the lease that it ended, with one crash more."""
    for reaping in run.reapings:
        lease, ended = run.first.lease, reaping.reaped.lease
        expected = (lease.attempt, lease.snoozes, lease.crashes + 1)
        if (ended.attempt, ended.snoozes, ended.crashes) != expected:
            what = f"a reap of a lease that told {_told(lease)} tells {_told(ended)}"
            yield Finding(what, (run.first.op, reaping.op), job.key)


def _unclaimed_reaps(job: Job, above: int, below: int) -> int:
    """Count the reaps of leases between two epochs that no claim's answer told of."""
    runs = (run for epoch, run in job.runs.items() if above < epoch < below and not run.leases)
    return sum(len(run.reapings[:1]) for run in runs)


def _hidden_crashes(history: History, job: Job, start: Operation | None, end: Operation) -> int:
    """Count how often a lease that nobody saw may have been ended by a reap that nobody saw."""
    reaps = history.of_unknown_outcome("reap", job.key.queue)
    claims = history.of_unknown_outcome("claim", job.key.queue)
    if start is not None:
        reaps, claims = list(within(reaps, start, end)), list(within(claims, start, end))
    return min(len(reaps), len(claims))


def _told(lease: Lease) -> str:
    return f"attempt {lease.attempt}, crashes {lease.crashes}, snoozes {lease.snoozes}"
