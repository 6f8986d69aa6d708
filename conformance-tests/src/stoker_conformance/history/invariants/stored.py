"""Invariants of what is stored: jobs are kept as they were given, and what was said holds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TypeAlias

from stoker.driver import EnqueueStatus, JobRecord, JobState, Lease, NewJob
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History, Job, Seen, Sent
from stoker_conformance.history.finding import Finding
from stoker_conformance.history.possible import exists_throughout, vanishings, within

__all__ = ["idempotent", "no_loss", "no_phantom", "payload", "read_your_writes"]

_Look: TypeAlias = JobRecord | Lease

_FIELDS = (
    "name",
    "payload",
    "payload_version",
    "priority",
    "max_attempts",
    "metadata",
    "headers",
)


def no_loss(history: History) -> Iterator[Finding]:
    """A job that was acknowledged is there at the end, or something took it away."""
    for job, stored, sight in _missing(history):
        if not _seen_later(job, sight) and stored.client not in history.killed:
            what = "a job was acknowledged, and is gone"
            yield Finding(what, (stored, sight.op), job.key)


def read_your_writes(history: History) -> Iterator[Finding]:
    """What has returned to one client is seen by the reads of every other."""
    for job, stored, sight in _missing(history):
        if _seen_later(job, sight):
            what = "a read does not find a job that was acknowledged, and is there later"
            yield Finding(what, (stored, sight.op), job.key)
    for job in history.jobs.values():
        if job.runs:
            for sight in job.sights:
                yield from _lagging(history, job, sight)


def no_phantom(history: History) -> Iterator[Finding]:
    """What nobody sent is not there, and what nobody claimed is not reaped."""
    for job in history.jobs.values():
        for operation, _ in _looks(job):
            if not _sent_before(job, operation):
                yield Finding("a job that nobody had sent", (operation,), job.key)
                break
        for run in job.runs.values():
            claims = [leased.op for leased in run.leases]
            claims += history.of_unknown_outcome("claim", job.key.queue)
            for reaping in run.reapings:
                if not any(claim.invoked < reaping.op.latest for claim in claims):
                    what = "a reap ended a lease that no claim had returned"
                    yield Finding(what, (reaping.op,), job.key)


def payload(history: History) -> Iterator[Finding]:
    """A job is handed out, and shown, as it was given."""
    for job in history.jobs.values():
        for operation, look in _looks(job):
            sends = _sent_before(job, operation)
            wrong = [_difference(look, sent.job) for sent in sends]
            if wrong and all(wrong):
                what = f"a job is not as it was given, in its {wrong[0]}"
                yield Finding(what, (sends[0].op, operation), job.key)
                break


def idempotent(history: History) -> Iterator[Finding]:
    """An id is stored once: the same request again is known, another one is a duplicate."""
    for job in history.jobs.values():
        if len(job.sends) > 1:
            yield from _stored_twice(history, job)
        for sent in job.sends:
            found = _answered_wrongly(history, job, sent) if sent.answer else None
            if found is not None:
                what, other = found
                evidence = (sent.op,) if other is None else (other, sent.op)
                yield Finding(what, evidence, job.key)


def _answered_wrongly(
    history: History, job: Job, sent: Sent
) -> tuple[str, Operation | None] | None:
    if sent.answer is None:
        return None
    others = [one for one in job.sends if one is not sent and _may_precede(one, sent)]
    if sent.answer.status is EnqueueStatus.DUPLICATE_ID:
        if not any(one.may for one in others):
            return "an id that nobody had used is called a duplicate", None
        if not _first_of_its_batch(job, sent):
            return None
    stored = exists_throughout(history, job, sent.op, sent.op)
    if stored is None:
        return None
    nonces = {one.job.nonce for one in others if one.may}
    known = nonces == {sent.job.nonce} and sent.job.nonce != ""
    if known and not sent.inserted:
        return "the same request, sent again, is not recognised", stored
    if sent.job.nonce not in nonces - {""} and sent.answer.status is not EnqueueStatus.DUPLICATE_ID:
        return f"an id that is taken was answered with {sent.answer.status.name}", stored
    return None


def _stored_twice(history: History, job: Job) -> Iterator[Finding]:
    """Of two requests for one id that meet, one is a duplicate."""
    inserted = [sent for sent in job.sends if sent.inserted]
    for one, other in combinations(inserted, 2):
        met = not one.op.before(other.op) and not other.op.before(one.op)
        same = one.job.nonce == other.job.nonce != ""
        if met and not same and not any(within(vanishings(history, job), one.op, other.op)):
            what = "two requests for one id were both told that it was inserted"
            yield Finding(what, (one.op, other.op), job.key)


def _may_precede(one: Sent, sent: Sent) -> bool:
    if one.op is sent.op:
        return one.position < sent.position
    return one.op.invoked < sent.op.latest


def _first_of_its_batch(job: Job, sent: Sent) -> bool:
    return not any(one.op is sent.op and one.position < sent.position for one in job.sends)


def _missing(history: History) -> Iterator[tuple[Job, Operation, Seen]]:
    """Return jobs that a read did not find, though nothing can have taken them away."""
    for job in history.jobs.values():
        for sight in job.sights:
            if sight.state is None:
                stored = exists_throughout(history, job, sight.op, sight.op)
                if stored is not None:
                    yield job, stored, sight


def _seen_later(job: Job, sight: Seen) -> bool:
    later = [operation for operation, _ in _looks(job)]
    later += [one.op for one in job.sights if one.state is not None]
    return any(sight.op.before(operation) for operation in later)


def _lagging(history: History, job: Job, sight: Seen) -> Iterator[Finding]:
    """Compare a read with the last lease whose claim had returned before it."""
    claimed = [run for run in job.claimed_runs() if run.first.op.before(sight.op)]
    if not claimed or sight.state is None:
        return
    run = claimed[-1]
    if any(within(vanishings(history, job), run.first.op, sight.op)):
        return  # it may be another job of the same id
    record = sight.record
    if record is not None and record.epoch < run.token.epoch:
        what = f"a read tells epoch {record.epoch}, after {run.token.epoch} was handed out"
        yield Finding(what, (run.first.op, sight.op), job.key)
    elif record is not None and record.epoch == run.token.epoch:
        running = record.state is JobState.RUNNING
        ended = [one.op for one in run.settlings if one.applied]
        ended += [one.op for one in run.reapings]
        over = [one for one in ended if one.before(sight.op)]
        if running and over and over[0].client not in history.killed:
            yield Finding("a read still shows a run that had ended", (over[0], sight.op), job.key)


def _looks(job: Job) -> Iterator[tuple[Operation, _Look]]:
    """Return the leases and records of a job that any operation returned."""
    for run in job.runs.values():
        yield from ((leased.op, leased.lease) for leased in run.leases)
        yield from ((reaping.op, reaping.reaped.lease) for reaping in run.reapings)
    yield from ((sight.op, sight.record) for sight in job.sights if sight.record is not None)


def _sent_before(job: Job, operation: Operation) -> list[Sent]:
    return [sent for sent in job.sends if sent.may and sent.op.invoked < operation.latest]


def _difference(look: _Look, job: NewJob) -> str | None:
    """Return the name of the first field in which a job is not as it was given."""
    for field in _FIELDS:
        if getattr(look, field) != getattr(job, field):
            return field
    return None if set(look.tags) == set(job.tags) else "tags"
