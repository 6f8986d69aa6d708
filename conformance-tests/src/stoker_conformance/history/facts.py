"""A history, taken apart: what happened to each job, item by item, with the intervals it has.

A fact belongs to one operation and one item of it. Facts of operations with unknown outcome are
here too, without an answer: they may have happened.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from stoker.driver import (
    Changed,
    ChangeStatus,
    Enqueued,
    EnqueueStatus,
    Extended,
    ExtendStatus,
    JobKey,
    JobRecord,
    JobState,
    Lease,
    NewJob,
    OnConflict,
    Reaped,
    Settled,
    Settlement,
    SettleStatus,
    Token,
)
from stoker_conformance.history.events import KILL, READS, Operation

__all__ = [
    "LINGER",
    "Change",
    "Extending",
    "History",
    "Job",
    "Leased",
    "Reaping",
    "Run",
    "Seen",
    "Sent",
    "Settling",
]

LINGER: Final = 5_000_000_000
"""How long after the end of its client a store may still carry out a request, in nanoseconds."""

_CHANGES: Final = frozenset({"cancel", "retry", "reschedule", "remove"})


@dataclass(slots=True, eq=False)
class Sent:
    """One job of an enqueue."""

    op: Operation
    position: int
    job: NewJob
    answer: Enqueued | None

    @property
    def inserted(self) -> bool:
        """Whether the store says that it has the job, from this request or an earlier send."""
        return self.answer is not None and self.answer.status is EnqueueStatus.INSERTED

    @property
    def may(self) -> bool:
        """Whether it may have stored the job."""
        return self.answer is None or self.answer.status is EnqueueStatus.INSERTED


@dataclass(slots=True, eq=False)
class Leased:
    """One lease that a claim returned."""

    op: Operation
    lease: Lease


@dataclass(slots=True, eq=False)
class Settling:
    """One settlement."""

    op: Operation
    item: Settlement
    answer: Settled | None

    @property
    def applied(self) -> bool:
        """Whether it certainly ended the lease."""
        return self.answer is not None and self.answer.status is SettleStatus.APPLIED

    @property
    def may(self) -> bool:
        """Whether it may have ended the lease."""
        return self.answer is None or self.answer.status is SettleStatus.APPLIED

    @property
    def kind(self) -> str:
        """The name of its outcome."""
        return type(self.item.outcome).__name__


@dataclass(slots=True, eq=False)
class Extending:
    """One extension."""

    op: Operation
    answer: Extended | None

    @property
    def may(self) -> bool:
        """Whether it may have moved the expiry."""
        return self.answer is None or self.answer.status is ExtendStatus.EXTENDED


@dataclass(slots=True, eq=False)
class Reaping:
    """One lease that a reap ended."""

    op: Operation
    reaped: Reaped


@dataclass(slots=True, eq=False)
class Change:
    """One key of a cancel, retry, reschedule or remove."""

    op: Operation
    answer: Changed | None

    @property
    def done(self) -> bool:
        """Whether it certainly changed the job's state."""
        return self.answer is not None and self.answer.status is ChangeStatus.DONE

    @property
    def may(self) -> bool:
        """Whether it may have changed the job's state."""
        return self.answer is None or self.answer.status is ChangeStatus.DONE


@dataclass(slots=True, eq=False)
class Seen:
    """One job, or its absence, in the answer of a read."""

    op: Operation
    state: JobState | None
    """`None`: there was no record."""
    record: JobRecord | None
    """`None` also when only the state was asked for."""


@dataclass(slots=True, eq=False)
class Run:
    """All that concerns one token."""

    token: Token
    leases: list[Leased] = field(default_factory=list)
    """One, unless the driver handed the token out twice; none when the claim's reply was lost."""
    settlings: list[Settling] = field(default_factory=list)
    extendings: list[Extending] = field(default_factory=list)
    reapings: list[Reaping] = field(default_factory=list)

    @property
    def first(self) -> Leased:
        """The lease, as it was handed out first."""
        return self.leases[0]

    def earliest_expiry(self) -> datetime:
        """Return the earliest time at which the lease may have expired, by given times."""
        times = [leased.lease.expires_at for leased in self.leases]
        extends = (extending.op for extending in self.extendings if extending.may)
        times += [one.now + lease_length(one) for one in extends if one.now is not None]
        return min(times)


@dataclass(slots=True, eq=False)
class Job:
    """All that concerns one key, each list in the order of invocation."""

    key: JobKey
    sends: list[Sent] = field(default_factory=list)
    runs: dict[int, Run] = field(default_factory=dict)
    """By epoch."""
    changes: list[Change] = field(default_factory=list)
    sights: list[Seen] = field(default_factory=list)
    replaced: list[Operation] = field(default_factory=list)
    """Enqueues that may have cancelled it, to take its unique key."""
    moved: list[Operation] = field(default_factory=list)
    """Enqueues that may have moved it, finding it with their unique key."""

    def run(self, token: Token) -> Run:
        """Return what concerns a token of this job."""
        if token.epoch not in self.runs:
            self.runs[token.epoch] = Run(token)
        return self.runs[token.epoch]

    def claimed_runs(self) -> list[Run]:
        """Return the runs whose lease was handed out, by epoch."""
        return [self.runs[epoch] for epoch in sorted(self.runs) if self.runs[epoch].leases]

    def settlings(self) -> Iterator[Settling]:
        """Return the settlements of all runs."""
        return (settling for run in self.runs.values() for settling in run.settlings)

    def reapings(self) -> Iterator[Reaping]:
        """Return the reaps of all runs."""
        return (reaping for run in self.runs.values() for reaping in run.reapings)

    def changed_by(self, *names: str) -> Iterator[Change]:
        """Return the changes of some kinds that may have happened."""
        return (change for change in self.changes if change.op.name in names and change.may)


class History:
    """The operations of all clients, in the order of invocation, and what they say of each job."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations: list[Operation] = sorted(
            operations, key=lambda operation: operation.invoked
        )
        self.jobs: dict[JobKey, Job] = {}
        self.killed: dict[str, Operation] = {}
        """By client: the event that it was killed."""
        self.by_name: defaultdict[str, list[Operation]] = defaultdict(list)
        self.by_unique_key: defaultdict[tuple[str, str], list[Sent]] = defaultdict(list)
        """By queue and key, what was sent with it."""
        self._lost_in: defaultdict[tuple[str, str], list[Operation]] = defaultdict(list)
        self._limit_unknown()
        for operation in self.operations:
            self.by_name[operation.name].append(operation)
            if operation.refusal is None:
                self._take_apart(operation)
        self._note_holders()
        self._nows = list(_latest_nows(self.operations))

    def now_until(self, moment: float) -> datetime | None:
        """Return the latest time that any operation invoked by then was given.

        Given times of concurrent clients need not come in order. A job that one of them made ready
        may be claimed by another with an earlier time.
        """
        position = bisect_right(self._nows, moment, key=lambda pair: pair[0])
        return self._nows[position - 1][1] if position else None

    def job(self, key: JobKey) -> Job:
        """Return what concerns a key."""
        job = self.jobs.get(key)
        if job is None:
            job = self.jobs[key] = Job(key)
        return job

    def of_unknown_outcome(self, name: str, queue: str) -> list[Operation]:
        """Return the claims, reaps, promotes, purges or pauses of a queue nobody knows about."""
        return self._lost_in.get((name, queue), [])

    def _limit_unknown(self) -> None:
        """What a client left unfinished has happened soon after the client's end, or never."""
        ends: dict[str, int] = {}
        for operation in self.operations:
            if operation.name == KILL:
                self.killed[operation.client] = operation
            if operation.name in (KILL, "close") and operation.returned is not None:
                ends[operation.client] = operation.returned
        for operation in self.operations:
            if operation.unknown and operation.client in ends:
                operation.latest = ends[operation.client] + LINGER

    def _take_apart(self, op: Operation) -> None:  # noqa: C901, PLR0912 - one branch an operation
        arguments = op.arguments
        if op.unknown and op.name not in READS:
            for queue in queues_of(op):
                self._lost_in[op.name, queue].append(op)
        if op.name == "enqueue":
            for position, (job, sent) in enumerate(_items(op, "jobs")):
                self.job(job.key).sends.append(Sent(op, position, job, sent))
        elif op.name == "claim" and op.answered:
            for lease in op.answer.leases:
                self.job(lease.token.key).run(lease.token).leases.append(Leased(op, lease))
        elif op.name == "settle":
            for item, settled in _items(op, "items"):
                run = self.job(item.token.key).run(item.token)
                run.settlings.append(Settling(op, item, settled))
        elif op.name == "extend":
            for item, extended in _items(op, "items"):
                run = self.job(item.token.key).run(item.token)
                run.extendings.append(Extending(op, extended))
        elif op.name == "reap" and op.answered:
            for reaped in op.answer:
                token = reaped.lease.token
                self.job(token.key).run(token).reapings.append(Reaping(op, reaped))
        elif op.name in _CHANGES:
            for key, changed in _items(op, "keys"):
                self.job(key).changes.append(Change(op, changed))
        elif op.name == "get" and op.answered:
            for key, record in zip(arguments["keys"], op.answer, strict=False):
                state = None if record is None else record.state
                self.job(key).sights.append(Seen(op, state, record))
        elif op.name == "states" and op.answered:
            for key, state in zip(arguments["keys"], op.answer, strict=False):
                self.job(key).sights.append(Seen(op, state, None))

    def _note_holders(self) -> None:
        """Find the enqueues that may have cancelled or moved the holder of their unique key."""
        for job in self.jobs.values():
            for sent in job.sends:
                if sent.job.unique is not None:
                    self.by_unique_key[job.key.queue, sent.job.unique.key].append(sent)
        for sends in self.by_unique_key.values():
            for sent in sends:
                self._note_conflict(sent, {other.job.key for other in sends} - {sent.job.key})

    def _note_conflict(self, sent: Sent, others: set[JobKey]) -> None:
        unique = sent.job.unique
        if unique is None:
            return
        for key in others:
            if unique.on_conflict is OnConflict.REPLACE and sent.may:
                self.jobs[key].replaced.append(sent.op)
            if unique.on_conflict is OnConflict.RESCHEDULE and (
                sent.answer is None or sent.answer.existing == key.id
            ):
                self.jobs[key].moved.append(sent.op)


def _latest_nows(operations: list[Operation]) -> Iterator[tuple[int, datetime]]:
    """Return where the latest time given so far moves, and to what."""
    latest: datetime | None = None
    for operation in operations:
        now = operation.now
        if now is not None and (latest is None or now > latest):
            latest = now
            yield operation.invoked, now


def queues_of(operation: Operation) -> list[str]:
    """Return the queues that an operation names, other than by keys and tokens."""
    arguments = operation.arguments
    if "wants" in arguments:
        return [want.queue for want in arguments["wants"]]
    if "queues" in arguments:
        return list(arguments["queues"])
    return [arguments["queue"]] if "queue" in arguments else []


def lease_length(operation: Operation) -> timedelta:
    """Return the `lease` of a claim or an extend."""
    length: timedelta = operation.arguments["lease"]
    return length


def _items(op: Operation, name: str) -> Iterator[tuple[Any, Any]]:
    """Return each item of a call with its answer, `None` where the outcome is unknown."""
    items: Sequence[Any] = op.arguments[name]
    if op.unknown:
        return ((item, None) for item in items)
    return zip(items, op.answer, strict=False)
