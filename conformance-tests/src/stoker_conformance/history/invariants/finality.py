"""Invariants of ends: what has ended stays so, also when the client that was told so dies."""

from __future__ import annotations

from collections.abc import Iterator

from stoker.driver import JobKey, JobState
from stoker.job import TERMINAL_STATES
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History, Job
from stoker_conformance.history.finding import Finding
from stoker_conformance.history.possible import exists_throughout, resets, vanishings, within

__all__ = ["durable", "terminal"]


def terminal(history: History) -> Iterator[Finding]:
    """A job that has ended is not leased, nor seen in another state, until a manual retry."""
    for key, end, state, sign, what in _undone(history):
        if end.client not in history.killed:
            yield Finding(f"a job that had ended as {state} {what}", (end, sign), key)


def durable(history: History) -> Iterator[Finding]:
    """What was acknowledged to a client outlives the kill of that client."""
    for key, end, state, sign, what in _undone(history):
        if end.client in history.killed:
            kill = history.killed[end.client]
            text = f"a job that a killed client had ended as {state} {what}"
            yield Finding(text, (end, kill, sign), key)
    for job in history.jobs.values():
        last = job.sights[-1] if job.sights else None
        if last is not None and last.state is None:
            stored = exists_throughout(history, job, last.op, last.op)
            if stored is not None and stored.client in history.killed:
                kill = history.killed[stored.client]
                what = "a job that was acknowledged to a killed client is gone"
                yield Finding(what, (stored, kill, last.op), job.key)
        yield from _revived(history, job)


def _revived(history: History, job: Job) -> Iterator[Finding]:
    """A run whose end was acknowledged to a killed client does not run on."""
    for run in job.runs.values():
        for settling in run.settlings:
            kill = history.killed.get(settling.op.client)
            if kill is None or not settling.applied:
                continue
            for sight in job.sights:
                record = sight.record
                if record is None or not settling.op.before(sight.op):
                    continue
                if record.state is JobState.RUNNING and record.epoch == run.token.epoch:
                    what = "a run that a killed client had ended runs on"
                    yield Finding(what, (settling.op, kill, sight.op), job.key)
                    break


def _undone(history: History) -> Iterator[tuple[JobKey, Operation, JobState, Operation, str]]:
    """Return ends of jobs that a later lease or read contradicts, and nothing excuses."""
    for job in history.jobs.values():
        moves = _certain_ends(job)
        if not moves:
            continue
        for sign, seen in _signs(job):
            before = [(end, state) for end, state in moves if end.before(sign)]
            if not before:
                continue
            end, state = max(before, key=lambda move: move[0].invoked)
            if seen is state or resets(history, job, end, sign):
                continue
            if seen is None:
                yield job.key, end, state, sign, "was leased"
            elif not any(within(vanishings(history, job), end, sign)):
                yield job.key, end, state, sign, f"was seen as {seen}"


def _certain_ends(job: Job) -> list[tuple[Operation, JobState]]:
    told = [
        *((one.op, one.answer.state) for one in job.settlings() if one.applied and one.answer),
        *((one.op, one.reaped.state) for one in job.reapings()),
        *((one.op, JobState.CANCELLED) for one in job.changed_by("cancel") if one.done),
        *((sight.op, sight.state) for sight in job.sights),
    ]
    return [(op, state) for op, state in told if state is not None and state in TERMINAL_STATES]


def _signs(job: Job) -> Iterator[tuple[Operation, JobState | None]]:
    """Return what tells whether a job has ended: leases (`None`), and reads that found it."""
    for run in job.runs.values():
        yield from ((leased.op, None) for leased in run.leases)
    yield from ((sight.op, sight.state) for sight in job.sights if sight.state is not None)
