"""What passes between client and server: pickled messages, each behind its length.

Both ends are the same tests on the same machine, so pickle is safe here.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import Any, Final

from stoker import errors
from stoker.errors import DriverError, DriverUnavailable

__all__ = ["Call", "Failure", "Hello", "receive", "send"]

_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True)
class Hello:
    """The first message of a connection: whose it is. It is answered with `None`."""

    namespace: str
    session: str
    """The connections of one client are one session."""


@dataclass(frozen=True)
class Call:
    """A call of an operation. It is answered with its answer, or a `Failure`."""

    operation: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """An error in place of an answer; errors with keyword arguments cannot be pickled."""

    kind: str
    text: str
    maybe_applied: bool

    @classmethod
    def of(cls, error: DriverError) -> Failure:
        return cls(type(error).__name__, str(error), getattr(error, "maybe_applied", False))

    def error(self) -> DriverError:
        """Return the error as it was raised."""
        if self.kind == DriverUnavailable.__name__:
            return DriverUnavailable(self.text, maybe_applied=self.maybe_applied)
        kind: type[DriverError] = getattr(errors, self.kind)
        return kind(self.text)


async def send(writer: asyncio.StreamWriter, message: object) -> None:
    """Send a message.

    Raises:
        OSError: the connection is gone.
    """
    data = pickle.dumps(message)
    writer.write(_LENGTH.pack(len(data)) + data)
    await writer.drain()


async def receive(reader: asyncio.StreamReader) -> Any:
    """Return the next message.

    Raises:
        OSError: the connection is gone.
        EOFError: it has ended.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(length))
