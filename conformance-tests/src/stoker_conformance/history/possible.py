"""What may have happened: the operations that excuse what would else be a violation.

Each function errs on the side of the driver. An operation of unknown outcome is among the excuses
for as long as it may still take effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from stoker.driver import JobState, KeepFor
from stoker.job import TERMINAL_STATES
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History, Job, Run, Settling

__all__ = [
    "ends",
    "exists_throughout",
    "resets",
    "surely_ended",
    "terminal_moves",
    "vanishings",
    "within",
]

_ZERO = timedelta(0)


def within(
    operations: Iterable[Operation], start: Operation, end: Operation
) -> Iterator[Operation]:
    """Return those that may have taken effect after `start` was invoked and before `end` was over.

    Both count as far as they reach: an operation that overlaps one of them may have come between.
    """
    return (one for one in operations if one.latest >= start.invoked and one.invoked <= end.latest)


def ends(history: History, job: Job, run: Run) -> Iterator[Operation]:
    """Return the operations that may have ended a lease that was handed out."""
    claim = run.first.op
    for settling in run.settlings:
        if settling.may:
            yield settling.op
    for reaping in run.reapings:
        yield reaping.op
    for reap in history.of_unknown_outcome("reap", job.key.queue):
        if reap.latest >= claim.invoked and _may_reap(reap, run):
            yield reap
    for change in job.changed_by("remove"):
        if change.op.latest >= claim.invoked:
            yield change.op


def surely_ended(job: Job, run: Run) -> Iterator[Operation]:
    """Return the operations that certainly ended a lease, or found the job's lease a later one."""
    yield from (settling.op for settling in run.settlings if settling.applied)
    yield from (reaping.op for reaping in run.reapings)
    if run.leases:
        claim = run.first.op
        yield from (
            change.op
            for change in job.changed_by("remove")
            if change.done and claim.before(change.op)
        )
    yield from (
        leased.op
        for epoch, later in job.runs.items()
        if epoch > run.token.epoch
        for leased in later.leases[:1]
    )


def terminal_moves(history: History, job: Job) -> list[tuple[Operation, frozenset[JobState]]]:
    """Return what may have ended the job, each with the states that it may have led to."""
    moves: list[tuple[Operation, frozenset[JobState]]] = []
    for settling in job.settlings():
        states = _led_to(settling)
        if states:
            moves.append((settling.op, states))
    ended = (one for one in job.reapings() if one.reaped.state in TERMINAL_STATES)
    moves += [(one.op, frozenset({one.reaped.state})) for one in ended]
    gone = frozenset({JobState.FAILED, JobState.CANCELLED})
    moves += [(reap, gone) for reap in history.of_unknown_outcome("reap", job.key.queue)]
    cancelled = frozenset({JobState.CANCELLED})
    moves += [(change.op, cancelled) for change in job.changed_by("cancel")]
    moves += [(enqueue, cancelled) for enqueue in job.replaced]
    return moves


def vanishings(history: History, job: Job) -> list[Operation]:
    """Return what may have deleted the job's record."""
    found = [change.op for change in job.changed_by("remove")]
    moves = terminal_moves(history, job)
    if not moves:
        return found
    keeps = [sent.job.keep for sent in job.sends if sent.may and sent.job.keep is not None]
    for operation, states in moves:
        if any(_keeps_nothing(keep, state) for keep in keeps for state in states):
            found.append(operation)
    first = min(operation.invoked for operation, _ in moves)
    for purge in history.by_name["purge"]:
        deleted = purge.unknown or (purge.answered and purge.answer > 0)
        if deleted and purge.arguments["queue"] == job.key.queue and purge.latest >= first:
            found.append(purge)
    return found


def resets(history: History, job: Job, start: Operation, end: Operation) -> list[Operation]:
    """Return what may have let the job begin anew between two operations."""
    found = [change.op for change in job.changed_by("retry")]
    if len(job.sends) > 1:
        gone = list(within(vanishings(history, job), start, end))
        found += [sent.op for sent in job.sends if sent.may] if gone else []
    return list(within(found, start, end))


def exists_throughout(
    history: History, job: Job, start: Operation, end: Operation
) -> Operation | None:
    """Return the enqueue after which the job was there from before `start` until after `end`."""
    stored = [sent.op for sent in job.sends if sent.inserted and sent.op.before(start)]
    if not stored:
        return None
    last = max(stored, key=lambda operation: operation.invoked)
    return None if any(within(vanishings(history, job), last, end)) else last


def _may_reap(reap: Operation, run: Run) -> bool:
    """Whether the lease may have been expired for a reap; with given times it is known."""
    return reap.now is None or run.earliest_expiry() <= reap.now


def _led_to(settling: Settling) -> frozenset[JobState]:
    """Return the terminal states that a settlement may have led to."""
    if settling.answer is None:
        return TERMINAL_STATES
    state = settling.answer.state
    return frozenset({state}) & TERMINAL_STATES if settling.applied and state else frozenset()


def _keeps_nothing(keep: KeepFor, state: JobState) -> bool:
    return {
        JobState.COMPLETED: keep.completed,
        JobState.FAILED: keep.failed,
        JobState.CANCELLED: keep.cancelled,
    }[state] == _ZERO
