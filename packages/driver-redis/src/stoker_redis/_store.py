"""A store as the operations see it: scripts on queues, and the queues' names."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

from stoker.errors import DriverError, DriverUnavailable, IncompatibleStore
from stoker.job import JobKey
from stoker_redis._client import Call, Client
from stoker_redis._keys import Keys, names_key, version_key
from stoker_redis._nodes import raise_first
from stoker_redis._scripts import Script

__all__ = ["LAYOUT", "Store", "grouped", "id_of", "raise_unless"]

_log: Final = logging.getLogger(__name__)

LAYOUT: Final = 1
"""The number of the layout that `_keys.py`, `_jobs.py` and the scripts have; another one that could
not read what this one writes would have the next."""
_MOST_QUEUES: Final = 10_000
"""How many queues a client remembers; with more it begins anew."""

_REGISTER: Final = Script("register")
_LAYOUT: Final = Script("layout")


class Store:
    """Makes calls of scripts, with the keys that they ask for."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._keys: dict[str, Keys] = {}
        self._registered: set[str] = set()
        self._known: set[str] = set()
        """What was registered once, by whatever connection."""
        self._is_behind = False
        """Whether some of that waits to be registered again."""
        self._opened = 0

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

    async def check_layout(self) -> None:
        """Refuse a store that another version of the driver has written in its own way.

        Raises:
            IncompatibleStore: says which, and what to do.
        """
        prefix = self.client.prefix
        found = await self.client.call(_LAYOUT, [version_key(prefix)], [LAYOUT])
        if int(found) != LAYOUT:
            raise IncompatibleStore(
                f"the store with the prefix {prefix!r} has the layout {int(found)}, and this "
                f"version of the driver knows {LAYOUT}: use the one that wrote it until the store "
                "is empty, or another prefix"
            )

    async def run(self, calls: Sequence[Call], *, confirmed: bool = False) -> list[Any]:
        """Make calls, in one round trip a node; confirmed by replicas, if the driver is to."""
        return await self.client.pipeline(calls, confirmed=confirmed)

    async def attempt(self, calls: Sequence[Call]) -> list[Any]:
        """Make calls that hand something out; errors may stand among their answers.

        Who asks has to keep what the others have handed out, and then to call `raise_unless`.
        """
        return await self.client.attempt(calls)

    async def one(self, script: Script, queue: str, args: Sequence[bytes | str | int]) -> Any:
        """Run a script on one queue."""
        return (await self.run([self.call(script, queue, args)]))[0]

    async def all(
        self, script: Script, queues: Sequence[str], args: Sequence[bytes | str | int]
    ) -> dict[str, Any]:
        """Run a script on each of several queues, and return its answers."""
        names = list(dict.fromkeys(queues))
        answers = await self.run([self.call(script, queue, args) for queue in names])
        return dict(zip(names, answers, strict=True))

    async def each(
        self, script: Script, keys: Sequence[JobKey], *args: bytes | str | int
    ) -> list[Any]:
        """Run a script that takes the ids of a queue, and return what it answers for each key."""
        by_queue = grouped(key.queue for key in keys)
        calls = [
            self.call(script, queue, [*args, *(id_of(keys[at]) for at in places)])
            for queue, places in by_queue.items()
        ]
        answers: dict[int, Any] = {}
        for places, reply in zip(by_queue.values(), await self.run(calls), strict=True):
            answers.update(zip(places, reply, strict=True))
        return [answers[at] for at in range(len(keys))]

    async def register(self, queues: Iterable[str]) -> None:
        """Note the names of queues, before there is anything in them.

        The names are in another slot than the queues, so that no script can do both. Each client
        does it once for each queue and connection.
        """
        opened = self.client.opened
        if opened != self._opened:
            # A new connection may lead to a server that has lost the last that it was told.
            self._registered.clear()
            self._opened = opened
        new = [queue for queue in queues if queue not in self._registered]
        if not new:
            return
        names = [queue.encode() for queue in new]
        try:
            await self.client.call(_REGISTER, [names_key(self.client.prefix)], names)
        except DriverUnavailable as error:
            if not self._may_go_on_without(new):
                raise
            if not self._is_behind:
                _log.warning("names of queues that are known cannot be noted again yet: %s", error)
            self._is_behind = True
            return
        self._is_behind = False
        if len(self._known) >= _MOST_QUEUES:
            self._registered.clear()
            self._known.clear()
        self._registered.update(new)
        self._known.update(new)

    def _may_go_on_without(self, queues: Iterable[str]) -> bool:
        """Return whether the node of the names may be away when these queues get something.

        In a cluster theirs may be well. They were noted once; should that node have lost them, they
        are not listed until an enqueue finds it back. Their jobs run: workers know their queues.
        """
        return self.client.is_cluster and self._known.issuperset(queues)


def grouped(queues: Iterable[str]) -> dict[str, list[int]]:
    """Return the places at which each queue stands."""
    places: dict[str, list[int]] = {}
    for at, queue in enumerate(queues):
        places.setdefault(queue, []).append(at)
    return places


def raise_unless(handed_out: Sequence[object], answers: Sequence[Any]) -> None:
    """Raise the first error among the answers, if nothing was handed out.

    What one queue has handed out must not be lost because another queue is broken or away: a lease
    that nobody knows of counts as a crash, and after some of them its job fails without a run.
    """
    if not handed_out:
        raise_first(answers)
    for answer in answers:
        if isinstance(answer, DriverError):
            _log.warning("a part of the queues has failed: %s", answer)


def id_of(key: JobKey) -> bytes:
    """Return an id as bytes; one that no job can have may be asked for all the same."""
    return key.id.encode(errors="surrogatepass")
