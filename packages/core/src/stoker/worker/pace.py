"""How many jobs will have ended when a claim comes back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

__all__ = ["Pace"]


class Pace:
    """Learns from the last two claims how many jobs end while one is under way.

    A worker that claims for free places only has none to run until the claim is back. One that
    claims for those as well that will be free by then runs jobs all along.

    Args:
        ended: how many jobs of each queue have ended so far.
        time: the time in seconds, of any clock that does not jump.
    """

    def __init__(self, ended: Mapping[str, int], time: Callable[[], float]) -> None:
        self._ended = ended
        self._time = time
        self._begun: deque[tuple[float, dict[str, int]]] = deque(maxlen=2)
        self._under_way = 0.0

    def claim_begins(self) -> None:
        """Take note that a claim is sent."""
        self._begun.append((self._time(), dict(self._ended)))

    def claim_ends(self) -> None:
        """Take note that the claim is back."""
        self._under_way = self._time() - self._begun[-1][0]

    def forget(self) -> None:
        """Expect nothing until two more claims have been made."""
        self._begun.clear()

    def ending(self) -> dict[str, int]:
        """Return how many jobs of each queue will end while a claim that begins now is under way.

        What ended since the claim before the last one began is no less than that: a claim took a
        part of this time only.
        """
        if len(self._begun) < 2:
            return {}
        since, before = self._begun[0]
        passed = self._time() - since
        if passed <= 0:
            return {}
        share = self._under_way / passed
        return {queue: int((count - before[queue]) * share) for queue, count in self._ended.items()}
