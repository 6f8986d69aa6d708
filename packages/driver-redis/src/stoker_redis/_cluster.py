"""Where scripts run: on the node of a cluster that has the slot of their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    ResponseError,
)

from stoker.errors import DriverError, DriverUnavailable
from stoker_redis._connection import (
    Address,
    Link,
    Settings,
    UnsuitableServer,
    end,
    greet,
    talk,
)
from stoker_redis._errors import FAILURES, translated, unreachable
from stoker_redis._nodes import Call, confirm, exchange, names_of, with_errors
from stoker_redis._pool import Pool

__all__ = ["Cluster"]

_MOST_REDIRECTS: Final = 5
"""How often a call follows the nodes' directions. A cluster that is being changed needs two."""
_MAP_SECONDS: Final = 5.0


class Cluster:
    """All primaries of a cluster, and which slots they have.

    What the nodes say of each other is asked for when it is needed first, and again after something
    has failed. A redirection is followed at once: a node that redirects has done nothing.
    """

    is_cluster = True

    def __init__(
        self,
        settings: Settings,
        seeds: Sequence[Address],
        size: int,
        remap: Callable[[str, int], Address] | None = None,
    ) -> None:
        self._settings = settings
        self._seeds = list(seeds)
        self._size = size
        self._remap = remap
        """From an address that a node gives to one that leads there."""
        self._owners: dict[int, Address] = {}
        self._pools: dict[Address, Pool] = {}
        self._is_stale = True
        self._asking = asyncio.Lock()
        self._retired = 0

    @property
    def opened(self) -> int:
        """How many connections were opened so far."""
        return self._retired + sum(pool.opened for pool in self._pools.values())

    async def run(self, calls: Sequence[Call], replicas: int = 0) -> list[Any]:
        """Run scripts, those of a slot in one round trip, and return their answers."""
        groups: dict[int, list[int]] = {}
        for place, call in enumerate(calls):
            groups.setdefault(self.slot(call.keys[0]), []).append(place)
        if len(groups) == 1:
            [slot] = groups
            return await self._run(slot, calls, replicas)
        found = await asyncio.gather(
            *(
                self._run(slot, [calls[place] for place in places], replicas)
                for slot, places in groups.items()
            ),
            return_exceptions=True,
        )
        answers: list[Any] = [None] * len(calls)
        for places, part in zip(groups.values(), found, strict=True):
            if isinstance(part, BaseException) and not isinstance(part, DriverError):
                raise part
            for n, place in enumerate(places):
                answers[place] = part if isinstance(part, DriverError) else part[n]
        return answers

    async def greet(self) -> Link:
        """Connect for the first time, to any primary."""
        await self._learn()
        problems: list[Exception] = []
        for address in dict.fromkeys(self._owners.values()):
            try:
                return await self._settings.connect(address)
            except FAILURES as error:
                problems.append(error)
        raise problems[0]

    async def connect(self, key: bytes, anew: bool = False) -> Link:
        """Open a connection of one's own to where a key is; `anew` finds that out once more."""
        self._is_stale |= anew
        return await self._settings.connect(await self._owner(self.slot(key)))

    def slot(self, key: bytes) -> int:
        """Return the slot of a key."""
        return key_slot(key)

    async def close(self) -> None:
        """Close every connection."""
        pools, self._pools = self._pools, {}
        self._is_stale = True
        for pool in pools.values():
            await pool.close()

    async def _run(self, slot: int, calls: Sequence[Call], replicas: int) -> list[Any]:
        owner, asking = await self._owner(slot), False
        answers: list[Any] = [None] * len(calls)
        todo = list(range(len(calls)))
        for _ in range(_MOST_REDIRECTS):
            part = [calls[place] for place in todo]
            try:
                found = await self._try(owner, part, replicas, asking=asking)
            except DriverError as error:
                found = [error] * len(part)
            for place, answer in zip(todo, found, strict=True):
                answers[place] = answer
            # Those that were redirected have not run; the others are not to run again.
            todo = [place for place in todo if isinstance(answers[place], AskError)]
            if not todo:
                return with_errors(answers, calls)
            direction = answers[todo[0]]
            asking = _is_ask(direction)
            owner = self._mapped(direction.host, direction.port, owner)
        lost = DriverUnavailable(
            f"the nodes of the cluster disagree about who has slot {slot}", maybe_applied=False
        )
        answers = [lost if isinstance(answer, AskError) else answer for answer in answers]
        return with_errors(answers, calls)

    async def _try(
        self, owner: Address, calls: Sequence[Call], replicas: int, *, asking: bool
    ) -> list[Any]:
        """Run scripts on a node; refusals are among the answers."""
        pool = self._pool(owner)
        try:
            async with pool.link() as link:
                first = [("ASKING",)] if asking else []
                answers = await exchange(link, calls, *first)
                if replicas and not any(isinstance(answer, ResponseError) for answer in answers):
                    await confirm(link, calls, replicas)
        except DriverError:
            self._is_stale = True
            raise
        except FAILURES as error:
            self._is_stale = True
            await pool.forget()
            raise translated(error, names_of(calls)) from error
        # A slot that is on its way (ASK) still belongs to this node.
        if any(isinstance(answer, ResponseError) and not _is_ask(answer) for answer in answers):
            self._is_stale = True
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            await pool.forget()
        return answers

    async def _owner(self, slot: int) -> Address:
        if self._is_stale or slot not in self._owners:
            try:
                await self._learn()
            except FAILURES as error:
                raise unreachable(error, self._where) from error
        if slot not in self._owners:
            raise DriverUnavailable(f"no node has slot {slot}", maybe_applied=False)
        return self._owners[slot]

    async def _learn(self) -> None:
        """Ask one node after the other who has which slots."""
        async with self._asking:
            if not self._is_stale:
                return  # somebody else has asked meanwhile
            problem: Exception | None = None
            for address in dict.fromkeys((*self._owners.values(), *self._seeds)):
                try:
                    self._owners = await self._ask(address)
                except UnsuitableServer:
                    raise
                except FAILURES as error:
                    problem = problem or error
                else:
                    self._is_stale = False
                    await self._drop_strangers()
                    return
            assert problem is not None
            raise problem

    async def _ask(self, address: Address) -> dict[int, Address]:
        link = await self._settings.connect(address, primary=False)
        try:
            if (await greet(link)).mode != "cluster":
                raise UnsuitableServer("this server is not part of a cluster: write redis://")
            [answer] = await talk(link, [("CLUSTER", "SLOTS")], _MAP_SECONDS)
        finally:
            await end(link)
        if isinstance(answer, ResponseError):
            raise answer
        owners: dict[int, Address] = {}
        for first, last, primary, *_ in answer:
            host = (primary[0] or b"").decode()
            owner = self._mapped(host, int(primary[1]), address)
            owners.update(dict.fromkeys(range(first, last + 1), owner))
        if not owners:
            raise ClusterDownError("no node of the cluster has any slot")
        return owners

    async def _drop_strangers(self) -> None:
        """Close connections to nodes that have no slots any more."""
        known = set(self._owners.values())
        for address in [address for address in self._pools if address not in known]:
            pool = self._pools.pop(address)
            self._retired += pool.opened
            await pool.retire()

    def _mapped(self, host: str, port: int, teller: Address) -> Address:
        """Return the address that leads to a node; one without a host is on the teller's."""
        if host in ("", "?"):
            host = teller[0]
        return (host, port) if self._remap is None else self._remap(host, port)

    def _pool(self, owner: Address) -> Pool:
        pool = self._pools.get(owner)
        if pool is None:

            async def dial() -> Link:
                return await self._settings.connect(owner)

            pool = self._pools[owner] = Pool(dial, self._size, f"{owner[0]}:{owner[1]}")
        return pool

    @property
    def _where(self) -> str:
        return ",".join(f"{host}:{port}" for host, port in self._seeds)


def _is_ask(answer: object) -> bool:
    """Return whether a node sends one elsewhere for this once; the library derives Moved of Ask."""
    return isinstance(answer, AskError) and not isinstance(answer, MovedError)
