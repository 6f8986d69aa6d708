"""A client in the process of the case that can be dropped and held up, if not really killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, cast

from stoker.driver import Driver
from stoker_conformance.faults._forwarding import OPERATIONS, ForwardingDriver
from stoker_conformance.faults.actors import Actor, ActorKilled, Stream

__all__ = ["LocalActor"]

T = TypeVar("T")
P = ParamSpec("P")

_GRACE: Final = 5.0
_WITH_CONNECTION: Final = frozenset({"enqueue_in", "settle_in"})


class LocalActor(Actor):
    """An actor in this process, around an open client that somebody else closes.

    Killed, it cancels what is in flight and never touches the client again: nothing of the store
    is told. Stopped, it begins no operation, and gives no answer of those that have begun.
    """

    def __init__(self, client: Driver) -> None:
        has = frozenset(name for name in OPERATIONS | _WITH_CONNECTION if hasattr(client, name))
        self._inside = _GatedDriver(client, has, self._pass_gate)
        self.driver: Driver = cast(Driver, ForwardingDriver(client.info, has, self._call))
        self._gate = asyncio.Event()
        self._gate.set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._killed = False

    async def kill(self) -> None:
        """Cancel what is in flight, and drop the client without its close."""
        self._killed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            # A driver that swallows a cancel is not waited for: the calls behind are given up.
            await asyncio.wait(self._tasks, timeout=_GRACE)

    async def stop(self) -> None:
        """Close the gate that every operation passes before and after."""
        self._gate.clear()

    async def resume(self) -> None:
        """Open the gate."""
        self._gate.set()

    async def run(
        self,
        function: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call the function with the client behind the gate."""
        return await self._await(partial(function, self._inside, *args, **kwargs))

    def stream(
        self,
        function: Callable[Concatenate[Any, P], AsyncGenerator[T, None]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Stream[T]:
        """Go through the generator in a task of its own."""
        stream: Stream[T] = Stream()

        async def follow() -> None:
            async with aclosing(function(self._inside, *args, **kwargs)) as items:
                async for item in items:
                    stream.put(item)
                    await asyncio.sleep(0)  # as between processes, others come in between

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            stream.end(ActorKilled() if task.cancelled() else task.exception())

        if self._killed:
            stream.end()
        else:
            self._begin(follow()).add_done_callback(ended)
        return stream

    async def end(self) -> None:
        """Kill it; the client is closed by whoever has opened it."""
        await self.kill()

    async def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        return await self._await(partial(getattr(self._inside, operation), *args, **kwargs))

    async def _await(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Begin something and await it, in a task that can be killed."""
        self._check_alive()

        async def worked() -> T:
            return await begin()

        task: asyncio.Task[T] = self._begin(worked())
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self._killed and current is not None and not current.cancelling():
                raise ActorKilled("the client was killed during this call") from None
            raise
        finally:
            self._tasks.discard(task)

    def _check_alive(self) -> None:
        if self._killed:
            raise ActorKilled("the client was killed before this call")

    def _begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        return task

    async def _pass_gate(self, client: Driver, name: str, *args: Any, **kwargs: Any) -> Any:
        self._check_alive()
        await self._gate.wait()
        answer = await getattr(client, name)(*args, **kwargs)
        await self._gate.wait()
        return answer


class _GatedDriver:
    """The client as functions see it that the actor runs: whole, and behind the gate."""

    def __init__(
        self, client: Driver, gated: frozenset[str], call: Callable[..., Awaitable[Any]]
    ) -> None:
        self._client = client
        self._gated = gated
        self._call = call

    def __getattr__(self, name: str) -> Any:
        if name not in self._gated:
            return getattr(self._client, name)

        async def gated(*args: Any, **kwargs: Any) -> Any:
            return await self._call(self._client, name, *args, **kwargs)

        return gated
