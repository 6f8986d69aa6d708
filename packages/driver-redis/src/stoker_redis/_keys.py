"""Which keys the driver uses.

The keys of a queue share a hash tag, `{the queue's name}`: they are in one slot of a cluster, and
one script can change them together. Three things are not of a queue, and have slots of their own:
the names of all queues, the workers that have announced themselves, and the version of all this.

    ============== ========== =====================================================================
    meta           hash       paused, the priorities seen, the last epoch and version
    jobs           hash       by id: what a job is; written once
    runs           hash       by id: how a job goes; changed by every step of its life
    reports        hash       by kind and id: result, progress, errors, logs
    ids            sorted set all ids, in byte order: what a search walks along
    due            sorted set scheduled jobs, by `run_at`
    streams        streams    ready jobs, one stream a priority
    leases         sorted set running jobs, by `expires_at`
    finished       sorted set ended jobs that the queue's retention decides about, by `finished_at`,
                              one set a state
    aging          sorted set ended jobs that say how long they are kept, by when that has passed,
                              one set a state
    unique         hash       by unique key: who holds it
    until          sorted set unique keys that are held for a time, by its end
    schedules      hash       by name: recurring jobs
    work, cancel   streams    of a few entries: hints for those who wait
    ============== ========== =====================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stoker.driver.checks import check_text
from stoker.errors import InvalidInput
from stoker.job import HIGHEST_PRIORITY

__all__ = ["PARTS", "Keys", "check_prefix", "names_key", "version_key", "worker_keys"]

_ENDS: Final = ("completed", "failed", "cancelled")
_ESCAPES: Final = str.maketrans({"{": "%7B", "}": "%7D", "%": "%25"})

PARTS: Final[dict[str, tuple[str, ...]]] = {
    "meta": ("meta",),
    "jobs": ("jobs",),
    "runs": ("runs",),
    "reports": ("reports",),
    "ids": ("ids",),
    "due": ("due",),
    "streams": tuple(f"ready:{priority}" for priority in range(HIGHEST_PRIORITY + 1)),
    "leases": ("leases",),
    "finished": tuple(f"finished:{state}" for state in _ENDS),
    "aging": tuple(f"aging:{state}" for state in _ENDS),
    "unique": ("unique",),
    "until": ("until",),
    "schedules": ("schedules",),
    "work": ("work",),
    "cancel": ("cancel",),
    # Of the workers, not of a queue:
    "workers": ("workers",),
    "expiring": ("expiring",),
    # Of the whole store:
    "names": ("names",),
    "version": ("version",),
}
"""What a script calls its keys, and how these end."""

_OF_A_QUEUE: Final = tuple(PARTS)[:-4]


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that would not be one: braces would move the hash tags.

    Raises:
        InvalidInput: it is empty or too long, or has braces or control characters.
    """
    check_text("prefix", prefix)
    if "{" in prefix or "}" in prefix:
        raise InvalidInput(f"prefix={prefix!r}: braces are for the names of queues")


class Keys:
    """The keys of one queue."""

    __slots__ = ("_base", "_chosen", "cancel", "work")

    def __init__(self, prefix: str, queue: str) -> None:
        # A name that no queue has, the empty one, must not make an empty tag, which is none.
        tag = queue.translate(_ESCAPES) or "%"
        self._base = f"{prefix}:{{{tag}}}:".encode(errors="surrogatepass")
        self._chosen: dict[tuple[str, ...], list[bytes]] = {}
        self.work = self._base + b"work"
        """The stream that tells that there may be work."""
        self.cancel = self._base + b"cancel"
        """The stream that tells that the cancel of a run may have been requested."""

    def of(self, parts: tuple[str, ...]) -> list[bytes]:
        """Return the keys that a script asks for, in its order; the list must not be changed."""
        chosen = self._chosen.get(parts)
        if chosen is None:
            endings = (ending for part in parts for ending in PARTS[part])
            chosen = self._chosen[parts] = [self._base + ending.encode() for ending in endings]
        return chosen

    def streams(self, priorities: Iterable[int]) -> list[bytes]:
        """Return the streams of ready jobs of some priorities."""
        streams = self.of(("streams",))
        return [streams[priority] for priority in priorities]

    def all(self) -> list[bytes]:
        """Return every key that the queue may have; the list must not be changed."""
        return self.of(_OF_A_QUEUE)


def names_key(prefix: str) -> bytes:
    """Return the key of the set of all queue names."""
    return f"{prefix}:queues".encode()


def version_key(prefix: str) -> bytes:
    """Return the key of the number of the layout that a store has."""
    return f"{prefix}:version".encode()


def worker_keys(prefix: str) -> list[bytes]:
    """Return the keys of the workers that have announced themselves, which are in one slot.

    No queue has that tag: its percent sign would be escaped.
    """
    return [f"{prefix}:{{%workers}}:{name}".encode() for name in ("workers", "expiring")]
