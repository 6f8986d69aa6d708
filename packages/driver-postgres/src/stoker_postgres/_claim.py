"""Handing ready jobs to workers."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.driver import Claimed, Want
from stoker_postgres._jobs import lease as lease_of
from stoker_postgres._statements import Statements
from stoker_postgres._times import span

__all__ = ["claim"]


async def claim(
    db: Statements, wants: Sequence[Want], worker: str, lease: int, now: int | None
) -> Claimed:
    """Take ready jobs of each queue that is not paused."""
    rows = await db.rows(
        "claim",
        now,
        [want.queue for want in wants],
        [want.limit for want in wants],
        worker,
        lease,
    )
    due_in = rows[0][0]
    leases = [lease_of(row, 1) for row in rows if row[1] is not None]
    return Claimed(leases, None if due_in is None else span(due_in))
