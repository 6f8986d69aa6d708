"""How many more jobs a worker may run, in all and from each queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from stoker.driver import Want

__all__ = ["Slots"]


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
        self._freed = freed
        self._turn = 0

    def take(self, queue: str) -> None:
        """Occupy a place."""
        self._free -= 1
        self._free_of[queue] -= 1

    def free(self, queue: str) -> None:
        """Give a place back."""
        was_full = self._free == 0 or self._free_of[queue] == 0
        self._free += 1
        self._free_of[queue] += 1
        if was_full:
            self._freed()

    def wants(self, queues: Iterable[str]) -> list[Want]:
        """Share the free places out over `queues`; empty when there is none for them.

        The queue that goes first changes from call to call, so that with fewer places than queues
        each gets its turn.
        """
        open_queues = [queue for queue in queues if self._free_of[queue] > 0]
        if self._free <= 0 or not open_queues:
            return []
        self._turn += 1
        first = self._turn % len(open_queues)
        left = self._free
        wants = []
        for place, queue in enumerate(open_queues[first:] + open_queues[:first]):
            share = -(-left // (len(open_queues) - place))
            limit = min(share, self._free_of[queue])
            if limit:
                wants.append(Want(queue, limit))
                left -= limit
        return wants
