"""Taking ready jobs: one script for each queue, all in one round trip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from stoker.driver import Claimed, Lease, Want
from stoker.errors import DriverError
from stoker_redis._jobs import lease
from stoker_redis._limits import MOST_BYTES, MOST_JOBS
from stoker_redis._scripts import Script
from stoker_redis._store import Store, raise_unless
from stoker_redis._times import span

__all__ = ["claim", "earliest"]

_CLAIM: Final = Script("claim")


async def claim(
    store: Store, wants: Sequence[Want], worker: str, length: int, now: int | str
) -> Claimed:
    """Take ready jobs of each queue, and tell when the next scheduled one is due."""
    calls = [
        store.call(
            _CLAIM, want.queue, (now, length, worker, min(want.limit, MOST_JOBS), MOST_BYTES)
        )
        for want in wants
    ]
    replies = await store.attempt(calls)
    leases: list[Lease] = []
    due: list[int] = []
    for want, reply in zip(wants, replies, strict=True):
        if isinstance(reply, DriverError):
            continue
        due_in, *taken = reply
        due.append(due_in)
        queue = want.queue
        jobs = zip(taken[::3], taken[1::3], taken[2::3], strict=True)
        leases += [lease(queue, id_, run, job) for id_, run, job in jobs]
    raise_unless(leases, replies)
    return Claimed(leases, earliest(due))


def earliest(spans: Iterable[int]) -> timedelta | None:
    """Return the shortest of the times until something is due; -1 stands for nothing."""
    found = [length for length in spans if length >= 0]
    return span(min(found)) if found else None
