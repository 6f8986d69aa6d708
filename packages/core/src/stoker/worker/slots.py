"""How many more jobs a worker may run, in all and from each queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from stoker.driver import Want

__all__ = ["Slots"]

_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


class Slots:
    """Free places for running jobs.

    Args:
        total: how many jobs may run at a time.
        limits: how many of them may come from each queue.
        freed: called when a place is given back where there was none.
    """

    def __init__(self, total: int, limits: Mapping[str, int], freed: Callable[[], None]) -> None:
        self._free = total
        self._free_of = dict(limits)
        self._limits = limits
        self._freed = freed
        self._turn = 0
        self.ended: dict[str, int] = dict.fromkeys(limits, 0)
        """How many jobs of each queue have given their place back so far."""

    def has_place(self, queue: str) -> bool:
        """Return whether a job of a queue may run now."""
        return self._free > 0 and self._free_of[queue] > 0

    def take(self, queue: str) -> None:
        """Occupy a place."""
        self._free -= 1
        self._free_of[queue] -= 1

    def free(self, queue: str) -> None:
        """Give a place back."""
        was_full = self._free == 0 or self._free_of[queue] == 0
        self._free += 1
        self._free_of[queue] += 1
        self.ended[queue] += 1
        if was_full:
            self._freed()

    def wants(self, queues: Iterable[str], ending: Mapping[str, int] = _NOTHING) -> list[Want]:
        """Share the free places out over `queues`; empty when there is none for them.

        The queue that goes first changes from call to call, so that with fewer places than queues
        each gets its turn.

        Args:
            queues: which to ask.
            ending: how many places of each queue will be free by the time the jobs are here.
        """
        soon = {
            queue: min(count, self._limits[queue] - self._free_of[queue])
            for queue, count in ending.items()
        }
        free_of = {queue: self._free_of[queue] + soon.get(queue, 0) for queue in queues}
        open_queues = [queue for queue, free in free_of.items() if free > 0]
        left = self._free + sum(soon.values())
        if left <= 0 or not open_queues:
            return []
        self._turn += 1
        first = self._turn % len(open_queues)
        wants = []
        for place, queue in enumerate(open_queues[first:] + open_queues[:first]):
            share = -(-left // (len(open_queues) - place))
            limit = min(share, free_of[queue])
            if limit:
                wants.append(Want(queue, limit))
                left -= limit
        return wants
