"""The invariant of order: a claim that is alone takes what is first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from stoker.driver import IMMEDIATELY
from stoker_conformance.history.events import Operation
from stoker_conformance.history.facts import History, Job
from stoker_conformance.history.finding import Finding

__all__ = ["order"]


@dataclass(frozen=True, slots=True)
class _Plain:
    """A job that was sent once, ready at once, left alone until its first lease: its place among
    its like is known."""

    job: Job
    sent: Operation
    position: int
    claim: Operation
    priority: int

    def after(self, other: _Plain) -> bool:
        """Whether it certainly became ready after another."""
        if self.sent is other.sent:
            return self.position > other.position
        return other.sent.before(self.sent)


def order(history: History) -> Iterator[Finding]:
    """A claim that no other overlaps leaves no job of a higher place behind."""
    by_queue: defaultdict[str, list[_Plain]] = defaultdict(list)
    for job in history.jobs.values():
        plain = _plain(job)
        if plain is not None:
            by_queue[job.key.queue].append(plain)
    for queue, jobs in by_queue.items():
        yield from _of_queue(jobs, _lone_claims(history, queue))


def _of_queue(jobs: list[_Plain], claims: list[Operation]) -> Iterator[Finding]:
    waiting: defaultdict[int, list[_Plain]] = defaultdict(list)
    for plain in sorted(jobs, key=lambda plain: (plain.sent.latest, plain.position)):
        waiting[plain.priority].append(plain)
    heads = dict.fromkeys(waiting, 0)
    taken: defaultdict[Operation, list[_Plain]] = defaultdict(list)
    for plain in jobs:
        taken[plain.claim].append(plain)
    for claim in claims:
        for priority, line in waiting.items():
            while heads[priority] < len(line) and not claim.before(line[heads[priority]].claim):
                heads[priority] += 1
        left = [line[heads[priority]] for priority, line in waiting.items()
                if heads[priority] < len(line)]  # fmt: skip
        for plain in taken[claim]:
            passed = next((one for one in left if _comes_first(one, plain)), None)
            if passed is not None:
                what = f"{plain.job.key.id} was claimed before {passed.job.key.id}"
                evidence = (passed.sent, plain.sent, claim, passed.claim)
                yield Finding(what, evidence, passed.job.key, plain.job.key)
                break


def _comes_first(one: _Plain, taken: _Plain) -> bool:
    """Whether a job that was left had a better place than one that was taken."""
    if one.priority != taken.priority:
        return one.priority > taken.priority and one.sent.before(taken.claim)
    return taken.after(one)


def _plain(job: Job) -> _Plain | None:
    runs = job.claimed_runs()
    if len(job.sends) != 1 or job.changes or job.moved or job.replaced or not runs:
        return None
    sent, first = job.sends[0], runs[0].first
    lease = first.lease
    fresh = (lease.attempt, lease.crashes, lease.snoozes) == (1, 0, 0)
    # A time that was rounded up is later than now: then the job was scheduled first.
    at_once = lease.run_at <= (sent.op.now or lease.enqueued_at)
    if not fresh or not sent.inserted or not at_once or sent.job.run_at != IMMEDIATELY:
        return None
    return _Plain(job, sent.op, sent.position, first.op, sent.job.priority)


def _lone_claims(history: History, queue: str) -> list[Operation]:
    """Return the claims of a queue that no other claim of it may have overlapped, in order."""
    claims = [
        claim
        for claim in history.by_name["claim"]
        if claim.refusal is None and any(want.queue == queue for want in claim.arguments["wants"])
    ]
    lone: list[Operation] = []
    latest = 0.0
    starts = [claim.invoked for claim in claims]
    for number, claim in enumerate(claims):
        following = starts[number + 1] if number + 1 < len(starts) else None
        alone = latest < claim.invoked and (following is None or claim.latest < following)
        latest = max(latest, claim.latest)
        if alone and claim.answered:
            lone.append(claim)
    return lone
