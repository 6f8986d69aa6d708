"""Which workers have said that they are alive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from struct import Struct
from typing import Final

from stoker.driver import WorkerPresence
from stoker_redis._keys import worker_keys
from stoker_redis._scripts import Script
from stoker_redis._store import Store
from stoker_redis._times import instant

__all__ = ["announce", "withdraw", "workers"]

_ANNOUNCE: Final = Script("announce")
_WITHDRAW: Final = Script("withdraw")
_WORKERS: Final = Script("workers")

_ROW: Final = Struct("<qqI")


async def announce(
    store: Store, worker: str, queues: Sequence[str], ttl: int, info: bytes, now: int | str
) -> None:
    """Note that a worker is alive until `now + ttl`, and forget those that are not."""
    names = json.dumps(list(queues)).encode()
    keys = worker_keys(store.client.prefix)
    await store.client.call(_ANNOUNCE, keys, [now, worker, ttl, names, info])


async def withdraw(store: Store, worker: str) -> None:
    """Forget a worker."""
    keys = worker_keys(store.client.prefix)
    await store.client.call(_WITHDRAW, keys, [worker.encode(errors="surrogatepass")])


async def workers(store: Store, now: int | str) -> list[WorkerPresence]:
    """Return the workers that are alive at `now`, by name."""
    rows = await store.client.call(_WORKERS, worker_keys(store.client.prefix), [now])
    found = [_presence(name.decode(), row) for name, row in zip(rows[::2], rows[1::2], strict=True)]
    return sorted(found, key=lambda presence: presence.worker)


def _presence(worker: str, row: bytes) -> WorkerPresence:
    since, expires_at, size = _ROW.unpack_from(row)
    info_at = _ROW.size + size
    return WorkerPresence(
        worker=worker,
        queues=tuple(json.loads(row[_ROW.size : info_at])),
        info=row[info_at:],
        since=instant(since),
        expires_at=instant(expires_at),
    )
