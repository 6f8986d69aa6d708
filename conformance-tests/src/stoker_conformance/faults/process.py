"""A client in a process of its own, which signals can really kill, stop and continue."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from stoker.driver import Driver
from stoker_conformance.faults._forwarding import ForwardingDriver
from stoker_conformance.faults._process import ClientProcess
from stoker_conformance.faults._wire import Call, Connect, Connected, Run, dump
from stoker_conformance.faults.actors import Actor, Stream
from stoker_conformance.harness import Harness

__all__ = ["ProcessActor"]

T = TypeVar("T")
P = ParamSpec("P")


class ProcessActor(Actor):
    """An actor in another process, which has a copy of the harness."""

    def __init__(self, process: ClientProcess, connected: Connected) -> None:
        self._process = process
        self.driver: Driver = cast(
            Driver, ForwardingDriver(connected.info, connected.operations, self._call)
        )

    @classmethod
    async def start(cls, harness: Harness[Any], namespace: object) -> Self:
        """Start a process, and have it open a client of the namespace.

        Raises:
            ActorDied: the process ended before the client was open.
        """
        hello = _pickled(harness, namespace)
        process = await ClientProcess.start()
        try:
            return cls(process, await process.call(hello))
        except BaseException:
            await process.kill()
            raise

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    async def kill(self) -> None:
        """Send SIGKILL (on Windows: terminate the process), and wait for its end."""
        await self._process.kill()

    async def stop(self) -> None:
        """Send SIGSTOP, and wait until the process stands still."""
        await self._process.stop()

    async def resume(self) -> None:
        """Send SIGCONT."""
        self._process.resume()

    async def run(
        self,
        function: Callable[Concatenate[Any, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Have the process call the function, with the driver itself."""
        return cast(T, await self._process.call(dump(Run(function, args, kwargs))))

    def stream(
        self,
        function: Callable[Concatenate[Any, P], AsyncGenerator[T, None]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Stream[T]:
        """Have the process go through the generator, with the driver itself."""
        return self._process.stream(dump(Run(function, args, kwargs)))

    async def end(self) -> None:
        """Kill the process, and give back all that it held."""
        await self._process.kill()
        if self._process.died is not None:
            raise self._process.died

    async def _call(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        return await self._process.call(dump(Call(operation, args, kwargs)))


def _pickled(harness: Harness[Any], namespace: object) -> bytes:
    try:
        return dump(Connect(harness, namespace))
    except Exception as error:
        error.add_note(
            f"Cases with processes send them a copy of {type(harness).__name__}: it and its "
            "namespaces have to be picklable, and its class importable."
        )
        raise
