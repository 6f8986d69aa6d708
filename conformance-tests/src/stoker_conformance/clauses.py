"""The clauses of the contract that the suite checks, as data: each exists once, here.

`stoker.driver` has the whole text; a clause is one sentence of it that a driver can break. Every
clause has a case, and every case names its clauses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stoker.driver import PROTOCOL_VERSION, Capability

__all__ = ["CLAUSES", "Clause"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One promise of a driver."""

    id: str
    """Permanent, like the id of a case."""
    sentence: str
    capability: Capability | None = None
    """Required of drivers that declare it; `None`: of every driver."""
    since: int = PROTOCOL_VERSION
    """The first version of the contract that has it."""


_CORE: Final = {
    "harness.isolated": "Two namespaces share nothing.",
    "harness.empty": "A new namespace is empty.",
    "info.complete": "The info is complete and within the bounds of the contract.",
    "info.constant": "The info is the same before and after open, and on every client.",
    "shape.signatures": "Every operation has the parameters of the protocol.",
    "lifecycle.idempotent": "Open and close may be repeated.",
    "lifecycle.closed": "An operation on a driver that is not open raises DriverClosed.",
    "lifecycle.concurrent_open": "Many clients may open a new store at the same time.",
    "lifecycle.frees": "Close frees everything that the client started.",
    "lifecycle.clone": "A clone is an independent, unopened client of the same store.",
    "capability.refused": "A power that is not declared is refused, and nothing is changed.",
    "operation.cancelled": "A cancelled await leaves the client usable.",
    "operation.concurrent": "Operations may be called from many tasks and clients at once.",
    "answers.aligned": "Each item of a call has its own answer, in the order of the items.",
    "batch.empty": "An empty batch answers an empty list.",
    "batch.limits": "A batch or a payload over the limit is refused whole.",
    "input.refused": "Bad input is refused whole, before anything is changed.",
    "input.twice": "The same key or token twice in a call is refused, except in an enqueue.",
    "names.bytes": "Every legal name is one of its own, compared as bytes.",
    "names.refused": "Empty and long names, and control characters, are refused.",
    "enqueue.payload": "A payload comes back byte-identical.",
    "enqueue.fields": "Every field of a job comes back as it was given.",
    "enqueue.inert": "An id that exists leaves the existing job untouched in every field.",
    "enqueue.resend": "The same id with the same nonce is the same request, sent again.",
    "enqueue.first_wins": "Of two equal ids in a batch the first wins.",
    "enqueue.once": "An enqueued job is claimable exactly once.",
    "enqueue.visible": "A job is visible to every client when its enqueue returns.",
    "state.by_time": "A job is ready at once when its time is not after now, else scheduled.",
    "claim.limit": "A claim takes at most the limit of each queue.",
    "claim.surplus": "Jobs that a claim does not return are not affected by it.",
    "claim.queues": "A claim takes from the queues that it names, and from no other.",
    "claim.exclusive": "No job is claimed by two.",
    "claim.lease": "A claim sets state, worker, attempt, times and a new epoch.",
    "claim.ready_only": "A claim never takes a scheduled job, even if due.",
    "claim.nothing": "A limit of 0 and an unknown queue give no leases.",
    "claim.refused": "A negative limit and a queue named twice are refused.",
    "claim.lost_reply": "Jobs of a claim whose reply was lost come back by reap.",
    "claim.no_takeover": "A claim never takes over an expired lease.",
    "claim.no_head_of_line": "Jobs that wait for a time do not hold up ready ones.",
    "pause.holds": "After a pause returned, no claim takes jobs of the queue.",
    "pause.resume": "A resume makes everything claimable that was held back.",
    "time.given_now": "A given now is used exactly, and no other clock is consulted.",
    "time.never_early": "Nothing is ever early.",
    "time.boundary": "A job is due when run_at <= now.",
    "time.past": "A time in the past means now.",
    "time.precision": "Times are exact, rounded up to the declared precision.",
    "time.latest": "A time after the year 2250 is refused.",
    "time.zones": "A time means the same instant in every zone.",
    "promote.limit": "A promote moves at most its limit of each queue.",
    "promote.loses_none": "A promote loses no job beyond its limit.",
    "promote.scheduled_only": "A promote touches only scheduled jobs.",
    "next_due.exact": "next_due_in is exact, over the queues asked, paused ones too.",
    "order.ready": "Within a priority, jobs are claimed in the order of becoming ready.",
    "order.producers": "The order holds across producers.",
    "order.batch": "Jobs of one batch become ready in the order of the batch.",
    "lease.held": "A leased job is held until its lease expires.",
    "lease.length": "Leases of any length expire when they should.",
    "lease.boundary": "A lease is expired when expires_at <= now.",
    "lease.refused": "A lease that is not longer than nothing is refused.",
    "extend.moves": "An extend sets expires_at to now + lease.",
    "extend.batch": "A full batch of tokens is extended, and settled, in one call.",
    "extend.dead": "A job that has ended cannot be extended.",
    "extend.fenced": "A stale token extends nothing.",
    "settle.fenced": "A stale token settles nothing, whatever the outcome.",
    "settle.independent": "The settlements of a batch are independent.",
    "settle.replay": "The same kind of settlement again is ALREADY, with the first state.",
    "settle.replay_ends": "A settlement is remembered until the next claim, reap or manual retry.",
    "token.dies": "A token is dead from the first settlement applied on it, or its reap.",
    "token.ends_once": "Each token is ended by exactly one settlement or reap.",
    "token.outlives_expiry": "Expiry alone does not invalidate a token.",
    "token.unknown": "A token without a record is GONE.",
    "epoch.rises": "An epoch is greater than any issued before in its queue.",
    "epoch.outlives_record": "Epochs do not start again when an id is removed and enqueued again.",
    "reap.returns": "A reap returns the ended lease, its worker, and where the job went.",
    "reap.counts_crash": "A reap counts up crashes.",
    "reap.refunds_attempt": "A reap refunds the attempt.",
    "reap.budget": "A job fails when crashes exceed max_crashes.",
    "reap.error": "A reap keeps its error with the job.",
    "reap.delay": "A reaped job comes back after the delay.",
    "reap.cancelled": "A reaped job whose cancel was requested is cancelled.",
    "reap.once": "Each expired lease is reaped exactly once across all reapers.",
    "reap.limit": "A reap ends at most its limit of each queue.",
    "reap.expired_only": "A reap touches only expired leases.",
    "reap.guarded": "A reap does nothing to a job whose lease has ended otherwise.",
    "retry.waits": "A Retry comes back at its time.",
    "retry.keeps": "A Retry keeps the payload and appends its error.",
    "retry.last": "A Retry of the last attempt leads to failed.",
    "fail.immediate": "Fail leads to failed, however many attempts are left.",
    "release.refunds": "A Release refunds the attempt.",
    "release.parked": "Parking notes its first time until another settlement.",
    "snooze.refunds": "A Snooze refunds the attempt and is counted.",
    "errors.bounded": "The newest ten errors are kept.",
    "manual_retry.clears": "A manual retry clears the runs before, and keeps errors and epoch.",
    "manual_retry.states": "A manual retry applies to failed and cancelled jobs only.",
    "cancel.pending": "A pending job is cancelled at once.",
    "cancel.running": "The worker of a running job learns of the cancel by extend.",
    "cancel.complete_wins": "Complete and Fail win over a requested cancel.",
    "cancel.sticks": "Retry, Release and Snooze lead to cancelled if that was requested.",
    "cancel.races": "A cancel that meets a claim leaves one of two outcomes.",
    "cancel.idempotent": "A second cancel has no effect and keeps the first reason.",
    "cancel.by_worker": "The outcome Cancel ends the job as cancelled.",
    "reschedule.pending": "Reschedule moves pending jobs, to the state that follows.",
    "reschedule.states": "Jobs that are not pending cannot be moved.",
    "remove.any_state": "Remove deletes a job in any state, with all that belongs to it.",
    "stats.exact": "Counts are exact below the cap, and running ones always.",
    "stats.cap": "A count that stopped at the cap is named.",
    "stats.consistent": "Counts are of one moment and never negative.",
    "get.aligned": "Get answers in the order of the keys, None where there is no record.",
    "states.aligned": "States answers in the order of the keys, like get.",
    "search.complete": "Every job that exists for the whole scan appears exactly once.",
    "search.order": "One total order, and its reverse.",
    "search.filters": "A search returns the jobs that match every filter.",
    "search.refused": "A limit out of range is refused; a wrong cursor raises nothing else.",
    "queues.listed": "Every queue that holds a job or a pause is listed.",
    "purge.terminal_only": "A purge deletes terminal records only.",
    "purge.age": "A purge deletes what is older than its state's max_age.",
    "purge.newest": "A purge keeps only the newest so many of a state.",
    "purge.limit": "A purge deletes at most its limit; fewer means done.",
    "keep.removed": "A job whose keep is zero is removed in the step that ends it.",
    "keep.own_age": "A job with a keep of its own is purged by that age alone.",
    "footprint.constant": "Finished and purged jobs leave nothing behind.",
}

_POWERS: Final = {
    Capability.PRIORITY: {
        "order.priority": "A higher priority is claimed first.",
        "order.range": "Every priority from 0 to 9 counts, and 4 is the default.",
    },
    Capability.UNIQUE: {
        "unique.finish_held": "A FINISH key is held until the job is terminal.",
        "unique.finish_freed": "Every way into a terminal state frees a FINISH key.",
        "unique.removed": "Removing the record frees the key.",
        "unique.unkept": "A record that goes by itself leaves its key until a time behind.",
        "unique.start": "A START key is held until the claim, and not taken again.",
        "unique.window": "A key with a time is held until then, by the operation's now.",
        "unique.forgotten": "A purge forgets keys that have expired.",
        "unique.replace": "Replace cancels a pending holder and inserts, in one step.",
        "unique.reschedule": "Reschedule moves a pending holder and inserts nothing.",
        "unique.busy_holder": "A running holder is neither replaced nor moved.",
        "unique.races": "Of racing producers exactly one gets the key.",
        "unique.batch": "Of two equal keys in a batch the first wins.",
        "unique.scope": "Keys belong to a queue, and the id is looked at before the key.",
        "unique.manual_retry": "A manual retry takes its key again, or conflicts.",
    },
    Capability.RESULTS: {
        "results.kept": "A result is kept, byte-identical, until the record is purged.",
        "results.reports": "Progress and logs of a run are kept with the record.",
        "extend.reports": "An extend stores progress and logs of a valid token only.",
        "settle.reports": "A settlement stores the last progress and logs when it is applied.",
        "logs.bounded": "The newest hundred log entries are kept.",
        "manual_retry.reports": "A manual retry clears progress and result, and keeps the logs.",
    },
    Capability.WAKEUP: {
        "wakeup.hints": "A hint follows whatever may make work or an earlier due time.",
        "wakeup.every_client": "A hint reaches every client that waits for the queue.",
        "wakeup.timeout": "A wait ends by itself after its timeout.",
        "wakeup.first": "The first wait for a queue returns WORK at once.",
        "wakeup.latched": "A hint between two waits ends the next one.",
        "wakeup.cancel": "The cancel of a running job is a hint.",
        "wakeup.close": "A wait returns when its client is closed.",
    },
    Capability.SCHEDULE: {
        "schedule.once": "A tick is fired once, whoever fires it.",
        "schedule.fire": "A fire enqueues its jobs and advances the row in one step.",
        "schedule.duplicates": "A job that is a duplicate does not stop the schedule.",
        "schedule.conflict": "A fire with another version changes nothing.",
        "schedule.missed": "A tick in the past is due, and fires as itself.",
        "schedule.never_early": "A tick is not fired before its time.",
        "schedule.due_in": "due_in is next_at - now, not below zero.",
        "schedule.put": "The same definition leaves the row as it is.",
        "schedule.listed": "Schedules are listed by queue and name.",
        "schedule.removed": "A removed schedule is gone, and its jobs stay.",
    },
    Capability.PRESENCE: {
        "presence.announced": "An announced worker is listed, by name.",
        "presence.withdrawn": "A worker that withdrew is not listed any more.",
        "presence.expires": "A worker that is silent expires, by the operation's now.",
    },
    Capability.TRANSACTIONAL: {
        "transaction.rollback": "A rollback leaves nothing.",
        "transaction.invisible": "Nothing is visible before the commit.",
        "transaction.duplicate": "A duplicate does not poison the transaction.",
        "transaction.settle": "A completion commits with its effects, or not at all.",
        "transaction.block": "`transaction` commits when its block ends well, else rolls back.",
        "transaction.fenced": "A lease that was reaped answers STALE inside a transaction.",
        "transaction.required": "enqueue_in wants an open transaction, `transaction` none.",
        "wakeup.after_commit": "The hint of an enqueue in a transaction follows the commit.",
    },
}

CLAUSES: Final[tuple[Clause, ...]] = (
    *(Clause(clause_id, sentence) for clause_id, sentence in _CORE.items()),
    *(
        Clause(clause_id, sentence, capability)
        for capability, clauses in _POWERS.items()
        for clause_id, sentence in clauses.items()
    ),
)
"""Every clause, in the order of the contract: those of every driver, then by capability."""
