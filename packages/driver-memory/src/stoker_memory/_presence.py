"""Which workers have said that they are alive."""

from __future__ import annotations

from collections.abc import Sequence

from stoker.driver import WorkerPresence
from stoker_memory._times import instant

__all__ = ["WorkerTable"]


class _Row:
    """What a worker said of itself, with times in microseconds."""

    __slots__ = ("expires_at", "info", "queues", "since")

    def __init__(self, queues: tuple[str, ...], info: bytes, since: int, expires_at: int) -> None:
        self.queues = queues
        self.info = info
        self.since = since
        self.expires_at = expires_at


class WorkerTable:
    """The workers that have announced themselves."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}

    def announce(self, worker: str, queues: Sequence[str], ttl: int, info: bytes, now: int) -> None:
        """Note that a worker is alive until `now + ttl`, and forget those that are not."""
        self._rows = {name: row for name, row in self._rows.items() if row.expires_at > now}
        known = self._rows.get(worker)
        since = now if known is None else known.since
        self._rows[worker] = _Row(tuple(queues), info, since, now + ttl)

    def withdraw(self, worker: str) -> None:
        """Forget a worker."""
        self._rows.pop(worker, None)

    def list(self, now: int) -> list[WorkerPresence]:
        """Return the workers that are alive at `now`, by name."""
        return [
            WorkerPresence(
                worker=worker,
                queues=row.queues,
                info=row.info,
                since=instant(row.since),
                expires_at=instant(row.expires_at),
            )
            for worker, row in sorted(self._rows.items())
            if row.expires_at > now
        ]
