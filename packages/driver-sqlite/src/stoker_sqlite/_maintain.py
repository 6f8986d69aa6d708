"""Upkeep: due jobs become ready, expired leases end, old records go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stoker.driver import Keep, Promoted, Reaped, Retention
from stoker.job import JobState
from stoker_sqlite._claim import next_due_in
from stoker_sqlite._effects import Effects
from stoker_sqlite._jobs import Found, leases
from stoker_sqlite._keys import leave_behind
from stoker_sqlite._times import micros
from stoker_sqlite._transaction import Transaction, array

__all__ = ["promote", "purge", "reap"]


def promote(tx: Transaction, queues: Sequence[str], limit: int, now: int) -> Promoted:
    """Make up to `limit` due jobs of each queue ready."""
    count = 0
    for queue in dict.fromkeys(queues):
        due = {"queue": queue, "now": now, "limit": limit}
        jobs, promoted = tx.rows("promote", due)[0]
        if promoted:
            place = tx.places(queue, promoted)
            tx.do("promote_apply", {"jobs": jobs, "now": now, "place": place})
            count += promoted
    return Promoted(count, next_due_in(tx, queues, now))


def reap(
    tx: Transaction, queues: Sequence[str], limit: int, delay: int, error: bytes, now: int
) -> list[Reaped]:
    """End up to `limit` expired leases of each queue."""
    ended: list[Reaped] = []
    for queue in dict.fromkeys(queues):
        ids = tx.parsed("reap", {"queue": queue, "now": now, "limit": limit})
        if ids:
            ended += _reap(Effects(tx, queue, ids, now), tx, now + delay, error)
    return ended


def _reap(effects: Effects, tx: Transaction, run_at: int, error: bytes) -> list[Reaped]:
    expired = list(effects.jobs.values())
    ended = leases(tx, array([found.job for found in expired]))
    reaped: list[Reaped] = []
    for found, leased in zip(expired, ended, strict=True):
        lease, worker = leased.lease, leased.worker
        lease.crashes += 1  # type: ignore[misc] # it is not shared yet
        reaped.append(Reaped(lease, worker, _end_lease(effects, found, run_at, error)))
    effects.flush()
    return reaped


def _end_lease(effects: Effects, found: Found, run_at: int, error: bytes) -> JobState:
    """End one expired lease: a crash more, an attempt less."""
    effects.report(found, "error", [error])
    found.crashes += 1
    found.attempt -= 1
    found.settled_as = found.settled_to = None
    if found.crashes > found.max_crashes:
        found.cancel_reason = None
        return effects.end(found, JobState.FAILED)
    if found.cancel_reason is not None:
        return effects.end(found, JobState.CANCELLED)
    return effects.pend(found, run_at)


def purge(tx: Transaction, queue: str, policy: Retention, limit: int, now: int) -> int:
    """Delete up to `limit` terminal records that nothing keeps, and forget expired keys."""
    tx.do("key_purge", {"queue": queue, "now": now, "limit": limit})
    count = 0
    for name, parameters in _purges(policy, now):
        if count >= limit:
            break
        left = {"queue": queue, "limit": limit - count}
        jobs, found = tx.rows(name, dict(parameters) | left)[0]
        if found:
            leave_behind(tx, jobs)
            tx.do("delete", {"jobs": jobs})
            count += found
    return count


def _purges(policy: Retention, now: int) -> Iterator[tuple[str, Mapping[str, object]]]:
    kept: dict[JobState, Keep] = {
        JobState.COMPLETED: policy.completed,
        JobState.FAILED: policy.failed,
        JobState.CANCELLED: policy.cancelled,
    }
    for state, keep in kept.items():
        if keep.max_age is not None:
            yield "purge_old", {"state": state.value, "before": now - micros(keep.max_age)}
        if keep.newest is not None:
            yield "purge_surplus", {"state": state.value, "newest": keep.newest}
        yield "purge_aged", {"state": state.value, "now": now}
