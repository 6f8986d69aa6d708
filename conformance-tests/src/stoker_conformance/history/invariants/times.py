"""Invariants of time: nothing is early, and what is due comes out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from stoker.driver import (
    After,
    At,
    JobRecord,
    JobState,
    Release,
    Retry,
    Snooze,
    When,
    from_micros,
    resolve,
    to_micros,
)
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import (
    History,
    Job,
    Leased,
    Run,
    Seen,
    lease_length,
    queues_of,
)
from stoker_conformance.history.finding import Finding
from stoker_conformance.history.possible import within

__all__ = ["claimable", "never_early"]

_SLACK: Final = timedelta(milliseconds=50)
"""How far the store's clock and the monotonic one may drift apart over a history."""


def never_early(history: History) -> Iterator[Finding]:
    """A job is not claimed before its time, and no lease is reaped before its end."""
    for job in history.jobs.values():
        for run in job.runs.values():
            for leased in run.leases:
                yield from _early_claim(history, job, leased)
            if run.leases:
                yield from _early_reap(job, run)
        yield from _early_return(history, job)


def claimable(history: History) -> Iterator[Finding]:
    """What is ready, due or expired is found by the next lone claim, promote or reap."""
    idle = _idle_operations(history)
    if not idle:
        return
    longest = _longest_lease(history)
    for job in history.jobs.values():
        streak = _last_streak(job)
        if len(streak) > 1:
            first, last = streak[0], streak[-1]
            missed = _missed(history, job, first, last, idle, longest)
            if missed is not None:
                what = f"a {first.state} job was there before and after, and was not found"
                yield Finding(what, (first.op, missed, last.op), job.key)


def _last_streak(job: Job) -> list[Seen]:
    """Return the last reads that agree about a job that has not ended."""
    streak: list[Seen] = []
    for sight in reversed(job.sights):
        record = sight.record
        if record is None or record.is_terminal:
            break
        if streak and streak[-1].record is not None:
            last = streak[-1].record
            if (record.state, record.epoch) != (last.state, last.epoch):
                break
        streak.append(sight)
    return streak[::-1]


def _early_claim(history: History, job: Job, leased: Leased) -> Iterator[Finding]:
    """By what the lease itself says, and by the clocks that were given."""
    claim, lease = leased.op, leased.lease
    # Without a given time: the store may have read its clock early in the call, but not before it.
    clock = history.now_until(claim.latest) or lease.claimed_at + _elapsed(claim, claim) + _SLACK
    if lease.run_at > clock:
        yield Finding(f"claimed at {clock}, due at {lease.run_at}", (claim,), job.key)
    elif claim.now is not None and lease.claimed_at < claim.now:
        what = f"claimed at {claim.now}, and the lease says {lease.claimed_at}"
        yield Finding(what, (claim,), job.key)


def _early_return(history: History, job: Job) -> Iterator[Finding]:
    """By what was asked when the job was sent, settled or reaped."""
    moved = [*job.moved, *(change.op for change in job.changes if change.op.name != "cancel")]
    runs = job.claimed_runs()
    sends = [sent for sent in job.sends if sent.may]
    if runs and len(sends) == 1:
        asked = (sends[0].op, sends[0].job.run_at)
        yield from _before_due(history, job, asked, runs[0], moved)
    for run, following in pairwise(runs):
        ends = [one for one in run.settlings if one.may]
        if len(ends) != 1 or run.reapings or not ends[0].applied:
            continue
        outcome = ends[0].item.outcome
        if isinstance(outcome, Retry | Release | Snooze):
            yield from _before_due(history, job, (ends[0].op, outcome.when), following, moved)
    for run in job.runs.values():
        after = [one for one in runs if one.token.epoch > run.token.epoch]
        for reaping in run.reapings[:1]:
            if after:
                delay = After(reaping.op.arguments["delay"])
                yield from _before_due(history, job, (reaping.op, delay), after[0], moved)


def _before_due(
    history: History, job: Job, asked: tuple[Operation, When], run: Run, moved: list[Operation]
) -> Iterator[Finding]:
    origin, when = asked
    claim = run.first.op
    if any(within(moved, origin, claim)):
        return
    wait = _wait_left(history, origin, when, run.first)
    if wait > timedelta(0):
        yield Finding(f"claimed {wait} before its time", (origin, claim), job.key)


def _wait_left(history: History, origin: Operation, when: When, leased: Leased) -> timedelta:
    """Return by how much a claim came too early, at least; zero or less when it may be in time.

    With given times it is known. With the store's clock it is the time that passed at most, from
    before the one call until after the other.
    """
    claim = leased.op
    now = history.now_until(claim.latest)
    if origin.now is not None and now is not None:
        return from_micros(resolve(when, to_micros(origin.now))) - now
    if isinstance(when, At):
        return when.time - leased.lease.claimed_at
    return when.delay - _elapsed(origin, claim) - _SLACK


def _early_reap(job: Job, run: Run) -> Iterator[Finding]:
    """By the last of the claim and the extends, all of which came before the reap: a token that
    was reaped is not extended any more."""
    beginnings = [leased.op for leased in run.leases]
    beginnings += [one.op for one in run.extendings if one.may]
    for reaping in run.reapings:
        early = [one for one in beginnings if one.invoked < reaping.op.latest]
        last = [one for one in early if not any(one.before(other) for other in _known(early))]
        left = [_lease_left(one, reaping.op) for one in last]
        if left and min(left) > timedelta(0):
            what = f"reaped {min(left)} before the lease was over"
            yield Finding(what, (run.first.op, *last[-1:], reaping.op), job.key)


def _known(operations: list[Operation]) -> list[Operation]:
    return [one for one in operations if one.answered]


def _lease_left(beginning: Operation, reap: Operation) -> timedelta:
    """Return how long a lease had to last beyond a reap, at least."""
    length = lease_length(beginning)
    if beginning.now is not None and reap.now is not None:
        return beginning.now + length - reap.now
    return length - _elapsed(beginning, reap) - _SLACK


def _elapsed(first: Operation, second: Operation) -> timedelta:
    """Return the most time that can have passed between the effects of two operations."""
    return timedelta(microseconds=((second.returned or 0) - first.invoked) / 1_000)


def _idle_operations(history: History) -> dict[str, list[Operation]]:
    """Return, by queue, the claims, promotes and reaps that were alone and found nothing."""
    idle: dict[str, list[Operation]] = {}
    latest = 0
    operations = [one for one in history.operations if one.returned is not None]
    for one, following in zip(operations, [*operations[1:], None], strict=True):
        lone = latest < one.invoked and (following is None or one.latest < following.invoked)
        latest = max(latest, one.returned or 0)
        if lone and one.idle and one.name in ("claim", "promote", "reap") and one.answered:
            for queue in queues_of(one):
                idle.setdefault(queue, []).append(one)
    return idle


def _missed(
    history: History,
    job: Job,
    first: Seen,
    last: Seen,
    idle: dict[str, list[Operation]],
    longest: timedelta,
) -> Operation | None:
    """Return the operation that should have found a job which reads show unchanged."""
    if first.record is None or any(within(_all_of(job), first.op, last.op)):
        return None
    for one in reversed(idle.get(job.key.queue, [])):
        between = first.op.before(one) and one.before(last.op)
        if between and _should_find(history, one, first.record, first.op, longest):
            return one
    return None


def _should_find(
    history: History, one: Operation, record: JobRecord, seen: Operation, longest: timedelta
) -> bool:
    if record.state is JobState.READY:
        asked = one.name == "claim" and all(want.limit for want in one.arguments["wants"])
        return asked and not _maybe_paused(history, record.key.queue)
    if record.state is JobState.SCHEDULED:
        return one.name == "promote" and _is_due(record.run_at, one)
    if one.name != "reap":
        return False
    if one.now is None:  # nobody has touched it since for longer than any lease
        return _certainly_passed(seen, one) > longest
    return record.expires_at is not None and record.expires_at <= one.now


def _is_due(run_at: datetime, promote: Operation) -> bool:
    """With the store's own clock, a promote says itself that a due job is left."""
    if promote.now is not None:
        return run_at <= promote.now
    return bool(promote.answer.next_due_in == timedelta(0))


def _certainly_passed(first: Operation, second: Operation) -> timedelta:
    return timedelta(microseconds=(second.invoked - first.latest) / 1_000) - _SLACK


def _maybe_paused(history: History, queue: str) -> bool:
    """Whether a queue may be paused at the end of the history."""
    pauses = [one for one in history.by_name["pause"] if one.arguments["queue"] == queue]
    if any(one.unknown and one.arguments["paused"] for one in pauses):
        return True
    last = max(pauses, key=lambda one: one.latest, default=None)
    return last is not None and last.arguments["paused"]


def _all_of(job: Job) -> Iterator[Operation]:
    """Return whatever was asked about one job, apart from reads, with a known outcome."""
    for run in job.runs.values():
        for part in (run.leases, run.settlings, run.extendings, run.reapings):
            yield from (one.op for one in part if not one.op.unknown)
    for sent in job.sends:
        yield from () if sent.op.unknown else (sent.op,)
    yield from (change.op for change in job.changes if not change.op.unknown)


def _longest_lease(history: History) -> timedelta:
    operations = (*history.by_name["claim"], *history.by_name["extend"])
    return max(map(lease_length, operations), default=timedelta(0))
