"""The unique keys of a queue: each held by at most one job at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stoker.driver import Unique, Until, resolve
from stoker_memory._heap import Heap, Ranked

if TYPE_CHECKING:
    from stoker_memory._job import Job

__all__ = ["Hold", "KeyTable"]

_SWEEP: Final = 2
"""How many expired keys each new key clears away."""


class Hold(Ranked):
    """A key, and the job that holds it."""

    __slots__ = ("at_start", "job", "key", "until")

    def __init__(self, key: str, job: Job, until: int | None, at_start: bool) -> None:
        self.key = key
        self.job: Job | None = job
        """`None` once the record is gone: a key held for a time may outlive it."""
        self.until = until
        """When the hold ends; `None` when an event of the job ends it."""
        self.at_start = at_start
        """Whether the job's claim ends it; else, without a time, its end does."""


class KeyTable:
    """Who holds which key, and which keys expire next."""

    __slots__ = ("_expiring", "_holds")

    def __init__(self) -> None:
        self._holds: dict[str, Hold] = {}
        self._expiring: Heap[Hold] = Heap()

    def holder(self, key: str, now: int) -> Hold | None:
        """Return who holds `key` at `now`, if anyone does."""
        hold = self._holds.get(key)
        if hold is not None and hold.until is not None and hold.until <= now:
            self.free(hold)
            return None
        return hold

    def take(self, job: Job, unique: Unique, now: int) -> None:
        """Let `job` hold its key, which nobody holds."""
        key, lasting = unique.key, unique.until
        until = None if isinstance(lasting, Until) else resolve(lasting, now)
        hold = job.hold = self._holds[key] = Hold(key, job, until, lasting is Until.START)
        if until is not None:
            # More than it adds, so that expired keys cannot pile up.
            self.forget_expired(now, _SWEEP)
            self._expiring.push(hold, (until, key))

    def free(self, hold: Hold) -> None:
        """End a hold."""
        del self._holds[hold.key]
        if hold.until is not None:
            self._expiring.remove(hold)
        if hold.job is not None:
            hold.job.hold = None

    def forget_expired(self, now: int, limit: int) -> None:
        """End up to `limit` holds that have expired."""
        for _ in range(limit):
            hold = self._expiring.first()
            if hold is None or hold.until is None or hold.until > now:
                return
            self.free(hold)
