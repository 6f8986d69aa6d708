"""Which workers have said that they are alive."""

from __future__ import annotations

import json
from collections.abc import Sequence

from stoker.driver import WorkerPresence
from stoker_sqlite._times import instant
from stoker_sqlite._transaction import Transaction, array

__all__ = ["announce", "withdraw", "workers"]


def announce(
    tx: Transaction, worker: str, queues: Sequence[str], ttl: int, info: bytes, now: int
) -> None:
    """Note that a worker is alive until `now + ttl`, and forget those that are not."""
    tx.do("worker_purge", {"now": now})
    values = {"worker": worker, "queues": array(list(queues)), "info": info, "now": now}
    tx.do("worker_announce", values | {"expires_at": now + ttl})


def withdraw(tx: Transaction, worker: str) -> None:
    """Forget a worker."""
    tx.do("worker_withdraw", {"worker": worker})


def workers(tx: Transaction, now: int) -> list[WorkerPresence]:
    """Return the workers that are alive at `now`, by name."""
    return [
        WorkerPresence(
            worker=worker,
            queues=tuple(json.loads(queues)),
            info=info,
            since=instant(since),
            expires_at=instant(expires_at),
        )
        for worker, queues, info, since, expires_at in tx.rows("worker_list", {"now": now})
    ]
