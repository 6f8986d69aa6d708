"""Recording: a driver that passes everything on, and notes what was asked and answered."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from inspect import signature
from itertools import count
from pathlib import Path
from time import monotonic_ns
from typing import Any, Final, Protocol, Self, TypeVar

from stoker.driver import Admin, Consumer, Driver, Inspector, Producer
from stoker.errors import DriverError, DriverUnavailable
from stoker_conformance.history.events import KILL, Operation, invocation, resolution

__all__ = ["Pause", "Recorder", "RecordingDriver"]

T = TypeVar("T")

_SIGNATURES: Final = {
    name: signature(getattr(role, name))
    for role in (Producer, Consumer, Inspector, Admin)
    for name in vars(role)
    if not name.startswith("_")
} | {name: signature(getattr(Driver, name)) for name in ("open", "close")}
"""By operation, its parameters in the contract; others are not recorded."""


class Pause(Protocol):
    """Lets others go first, before a call and after it; what it does to time is its own affair."""

    async def __call__(self) -> None: ...


class Recorder:
    """The events of one process, in memory or also in a file that outlives the process."""

    def __init__(self, path: Path | None = None) -> None:
        """Record; with `path`, also append every event there before and after its call.

        What is written is in the hands of the operating system at once, so that a process that is
        killed leaves behind what it had begun.
        """
        self.operations: list[Operation] = []
        self._numbers = count()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = None if path is None else os.open(path, flags, 0o600)

    def client(self, driver: Driver, name: str, pause: Pause | None = None) -> Driver:
        """Return `driver` as a client called `name` whose operations are recorded.

        Args:
            driver: any driver; its optional powers are passed on without being recorded.
            name: tells the clients of a history apart.
            pause: awaited within the recorded interval, before the call and after it. So the
                operations of a driver that never suspends overlap too, and the cancel of an await
                finds them before, in, or after the call.
        """
        # A RecordingDriver has every operation of a Driver, by way of its attributes.
        client: Any = RecordingDriver(driver, self, name, pause)
        return client  # type: ignore[no-any-return]

    def killed(self, client: str) -> None:
        """Note that the process of a client was killed."""
        moment = monotonic_ns()
        self.operations.append(Operation(client, KILL, {}, moment, moment))

    def begin(self, client: str, name: str, arguments: dict[str, Any]) -> tuple[Operation, int]:
        """Note that an operation is about to be called."""
        number = next(self._numbers)
        operation = Operation(client, name, arguments, monotonic_ns())
        self.operations.append(operation)
        self._write(lambda: invocation(operation, number))
        return operation, number

    def end(self, operation: Operation, number: int, answer: Any, refusal: str | None) -> None:
        """Note that it has returned."""
        operation.end(monotonic_ns(), answer=answer, refusal=refusal)
        self._write(lambda: resolution(operation, number))

    def _write(self, line: Callable[[], str]) -> None:
        if self._file is None:
            return
        left = memoryview(f"{line()}\n".encode())
        while left:
            left = left[os.write(self._file, left) :]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class RecordingDriver:
    """A client that notes every operation; made by `Recorder.client`.

    An operation whose await is cancelled, or that ends with `DriverUnavailable(maybe_applied=True)`
    or any error that is not of the contract, is left without an end: its outcome is unknown.
    """

    def __init__(self, driver: Driver, recorder: Recorder, name: str, pause: Pause | None) -> None:
        self._driver = driver
        self._recorder = recorder
        self._name = name
        self._pause = pause

    def clone(self) -> Self:
        """Return a recorded clone, as a client of the same name with a mark behind it."""
        return type(self)(self._driver.clone(), self._recorder, f"{self._name}'", self._pause)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        return self._recorded(name, found) if name in _SIGNATURES else found

    def _recorded(self, name: str, call: Callable[..., Awaitable[T]]) -> Callable[..., Any]:
        async def recorded(*args: Any, **kwargs: Any) -> T:
            arguments = _named(name, args, kwargs)
            operation, number = self._recorder.begin(self._name, name, arguments)
            try:
                answer = await self._within_pauses(call, args, kwargs)
            except DriverError as error:
                if isinstance(error, DriverUnavailable) and error.maybe_applied:
                    raise
                self._recorder.end(operation, number, None, type(error).__name__)
                raise
            self._recorder.end(operation, number, answer, None)
            return answer

        setattr(self, name, recorded)
        return recorded

    async def _within_pauses(
        self, call: Callable[..., Awaitable[T]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> T:
        if self._pause is None:
            return await call(*args, **kwargs)
        await self._pause()
        answer = await call(*args, **kwargs)
        await self._pause()
        return answer


def _named(operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, with copies of its lists."""
    bound = _SIGNATURES[operation].bind(None, *args, **kwargs).arguments
    return {
        name: list(value) if isinstance(value, list | tuple) else value
        for name, value in bound.items()
        if name != "self"
    }
