"""Handing ready jobs to workers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from stoker.driver import Claimed, Lease, Until, Want
from stoker_sqlite import _keys
from stoker_sqlite._jobs import leases
from stoker_sqlite._times import span
from stoker_sqlite._transaction import Transaction, array

__all__ = ["claim", "next_due_in"]


def claim(tx: Transaction, wants: Sequence[Want], worker: str, lease: int, now: int) -> Claimed:
    """Take ready jobs of each queue that is not paused."""
    taken: list[Lease] = []
    for want in wants:
        if want.limit:
            taken += _take(tx, want, worker, now, now + lease)
    if taken and len(taken) == sum(want.limit for want in wants):
        return Claimed(taken, None)
    return Claimed(taken, next_due_in(tx, [want.queue for want in wants], now))


def _take(tx: Transaction, want: Want, worker: str, now: int, expires_at: int) -> list[Lease]:
    queue = {"queue": want.queue}
    state = tx.rows("paused", queue)
    if not state or state[0][0]:
        return []
    epoch = state[0][1]
    jobs, count = tx.rows("claim_ready", queue | {"limit": want.limit})[0]
    if not count:
        return []
    lease = {"epoch": epoch, "worker": worker, "now": now, "expires_at": expires_at}
    tx.do("claim", lease | {"jobs": jobs})
    tx.do("claim_queue", queue | {"count": count})
    found = leases(tx, jobs)
    for leased in found:
        if leased.unique_key is not None and leased.unique_until == Until.START.value:
            _keys.free(tx, want.queue, [(leased.unique_key, leased.lease.token.key.id)])
    return [leased.lease for leased in found]


def next_due_in(tx: Transaction, queues: Sequence[str], now: int) -> timedelta | None:
    """Return the time to the earliest scheduled job of some queues."""
    earliest = tx.value("next_due", {"queues": array(list(queues))})
    return None if earliest is None else span(earliest - now)
