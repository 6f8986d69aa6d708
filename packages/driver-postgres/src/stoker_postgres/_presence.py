"""Which workers have said that they are alive."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.driver import WorkerPresence
from stoker_postgres._statements import Statements
from stoker_postgres._times import instant

__all__ = ["announce", "withdraw", "workers"]


async def announce(
    db: Statements, worker: str, queues: Sequence[str], ttl: int, info: bytes, now: int | None
) -> None:
    """Note that a worker is alive until `now + ttl`, and forget those that are not."""
    await db.rows("worker_announce", now, worker, list(queues), ttl, info)


async def withdraw(db: Statements, worker: str) -> None:
    """Forget a worker."""
    await db.rows("worker_withdraw", worker)


async def workers(db: Statements, now: int | None) -> list[WorkerPresence]:
    """Return the workers that are alive at `now`, by name."""
    return [
        WorkerPresence(
            worker=worker,
            queues=tuple(queues),
            info=info,
            since=instant(since),
            expires_at=instant(expires_at),
        )
        for worker, queues, info, since, expires_at in await db.rows("worker_list", now)
    ]
