"""Upkeep: due jobs become ready, expired leases end, old records go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stoker.driver import Keep, Promoted, Reaped, Retention
from stoker.errors import DriverError
from stoker_redis._claim import earliest
from stoker_redis._jobs import STATES, lease, worker_of
from stoker_redis._limits import MOST_BYTES, MOST_JOBS
from stoker_redis._scripts import Script
from stoker_redis._store import Store, raise_unless
from stoker_redis._times import micros

__all__ = ["promote", "purge", "reap"]

_PROMOTE: Final = Script("promote")
_REAP: Final = Script("reap")
_PURGE: Final = Script("purge")


async def promote(store: Store, queues: Sequence[str], limit: int, now: int | str) -> Promoted:
    """Make due jobs of each queue ready, up to `limit` or as many as one script does."""
    answers = await store.all(_PROMOTE, queues, (now, min(limit, MOST_JOBS)))
    count = sum(promoted for promoted, _ in answers.values())
    return Promoted(count, earliest(due_in for _, due_in in answers.values()))


async def reap(
    store: Store, queues: Sequence[str], limit: int, delay: int, error: bytes, now: int | str
) -> list[Reaped]:
    """End expired leases of each queue, up to `limit` or as many as one script does."""
    args = (now, min(limit, MOST_JOBS), MOST_BYTES, delay, error)
    ended: list[Reaped] = []
    names = list(dict.fromkeys(queues))
    answers = await store.attempt([store.call(_REAP, queue, args) for queue in names])
    for queue, answer in zip(names, answers, strict=True):
        if isinstance(answer, DriverError):
            continue
        for id_, run, job, state in zip(*(answer[at::4] for at in range(4)), strict=True):
            ended.append(Reaped(lease(queue, id_, run, job), worker_of(run), STATES[state]))
    raise_unless(ended, answers)
    return ended


async def purge(store: Store, queue: str, policy: Retention, limit: int, now: int | str) -> int:
    """Delete up to `limit` terminal records that nothing keeps, in steps that a script does."""
    kept = [
        number
        for keep in (policy.completed, policy.failed, policy.cancelled)
        for number in _limits(keep)
    ]
    count = 0
    while count < limit:
        step = min(limit - count, MOST_JOBS)
        purged = await store.one(_PURGE, queue, [now, step, *kept])
        count += purged
        if purged < step:
            break
    return count


def _limits(keep: Keep) -> tuple[int, int]:
    """Return the age and the number of records that are kept; -1 for no limit."""
    return (
        -1 if keep.max_age is None else micros(keep.max_age),
        -1 if keep.newest is None else keep.newest,
    )
