"""A store as the operations see it: scripts on queues, and the queues' names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from stoker_redis._client import Call, Client
from stoker_redis._keys import Keys, names_key
from stoker_redis._scripts import Script

__all__ = ["Store"]

_MOST_QUEUES: Final = 10_000
"""How many queues a client remembers; with more it begins anew."""

_REGISTER: Final = Script("register")


class Store:
    """Makes calls of scripts, with the keys that they ask for."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._keys: dict[str, Keys] = {}
        self._registered: set[str] = set()

    def keys(self, queue: str) -> Keys:
        """Return the keys of a queue."""
        keys = self._keys.get(queue)
        if keys is None:
            if len(self._keys) >= _MOST_QUEUES:
                self._keys.clear()
            keys = self._keys[queue] = Keys(self.client.prefix, queue)
        return keys

    def call(self, script: Script, queue: str, args: Sequence[bytes | str | int]) -> Call:
        """Return the call of a script on one queue."""
        return Call(script, self.keys(queue).of(script.keys), args)

    async def run(self, calls: Sequence[Call]) -> list[Any]:
        """Make calls, in one round trip a node."""
        if len(calls) == 1:
            return [await self.client.call(*calls[0])]
        return await self.client.pipeline(calls)

    async def register(self, queues: Iterable[str]) -> None:
        """Note the names of queues, before there is anything in them.

        The names are in another slot than the queues, so that no script can do both. Each client
        does it once for each queue.
        """
        new = [queue for queue in queues if queue not in self._registered]
        if not new:
            return
        names = [queue.encode() for queue in new]
        await self.client.call(_REGISTER, [names_key(self.client.prefix)], names)
        if len(self._registered) >= _MOST_QUEUES:
            self._registered.clear()
        self._registered.update(new)

    @staticmethod
    def grouped(queues: Iterable[str]) -> dict[str, list[int]]:
        """Return the places at which each queue stands."""
        places: dict[str, list[int]] = {}
        for at, queue in enumerate(queues):
            places.setdefault(queue, []).append(at)
        return places
