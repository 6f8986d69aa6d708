"""A client of a store as an actor: somebody who can be killed, stopped and continued.

Two kinds have this interface: `ProcessActor` is a client in a process of its own, `LocalActor` one
in the process of the case, for stores that no other process can reach.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from stoker.driver import Driver

__all__ = ["Actor", "ActorDied", "ActorKilled", "Stream"]

T = TypeVar("T")
P = ParamSpec("P")


class ActorKilled(Exception):
    """The case killed the client of this call: its outcome is unknown."""


class ActorDied(Exception):
    """The process of a client ended, and the case had not killed it."""


class Stream(Generic[T]):
    """What a generator yields in an actor, as it comes.

    It ends with the generator, and also when the actor is killed: everything that was yielded
    before comes first.
    """

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()

    def put(self, item: T) -> None:
        """Add an item."""
        self._arrived.put_nowait((item,))

    def end(self, error: BaseException | None = None) -> None:
        """Say that nothing more comes, and why."""
        self._arrived.put_nowait(None if isinstance(error, ActorKilled) else error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        arrived = await self._arrived.get()
        if isinstance(arrived, tuple):
            return arrived[0]
        self._arrived.put_nowait(arrived)  # it stays at its end
        if arrived is None:
            raise StopAsyncIteration
        raise arrived


class Actor(ABC):
    """An open client; `Bench.actor` makes one, and the end of the case is its end."""

    driver: Driver
    """The client from outside. Any number of calls may be in flight; each raises what the driver
    raises, or `ActorKilled` or `ActorDied`. It has the operations of the capabilities, but not
    those that take or give a connection: those are for functions that the actor runs."""

    @abstractmethod
    async def kill(self) -> None:
        """End the client at once, without its close; returns when nothing of it runs any more.

        Calls in flight raise `ActorKilled`, and so do later ones. Killing it again does nothing.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Have the client stand still where it is; returns when it does.

        Raises:
            RuntimeError: this system cannot stop processes.
        """

    @abstractmethod
    async def resume(self) -> None:
        """Have the client go on; what it was asked for meanwhile is done now."""

    @abstractmethod
    async def run(
        self,
        function: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Have the actor call `function(driver, *args)`; return its value.

        The function is one of a module, so that another process finds it; values are copied.
        """

    @abstractmethod
    def stream(
        self,
        function: Callable[Concatenate[Any, P], AsyncGenerator[T, None]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Stream[T]:
        """Have the actor go through the generator `function(driver, *args)`, as in `run`.

        It goes on without waiting for the case. What it has yielded arrives, even if it is killed
        right after.
        """

    @abstractmethod
    async def end(self) -> None:
        """Kill it if need be and free what it holds, at the end of the case.

        Raises:
            ActorDied: it had died before.
        """
