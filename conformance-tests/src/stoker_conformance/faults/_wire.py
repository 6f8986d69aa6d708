"""What passes between a case and a client in another process: pickled values, in frames.

A frame is the number of the call that it belongs to and a pickled value. Framing and pickling are
apart, so that a value which cannot be unpickled spoils its own call and not the connection.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO, Final, TypeAlias

from stoker_conformance.harness import Harness

__all__ = [
    "Abandon",
    "Answer",
    "Call",
    "Connect",
    "Connected",
    "Deframer",
    "End",
    "Failure",
    "Frame",
    "Item",
    "Run",
    "Value",
    "dump",
    "frame",
    "frames",
    "load",
]

Frame: TypeAlias = tuple[int, bytes]
"""The number of a call, and what is said of it, pickled."""

_HEAD: Final = struct.Struct(">QQ")


# From the case to the client


@dataclass(frozen=True, slots=True)
class Connect:
    """Become an open client of this namespace; the first call of all."""

    harness: Harness[Any]
    namespace: object


@dataclass(frozen=True, slots=True)
class Call:
    """Call an operation of the driver."""

    operation: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """Call a function of a module with the driver and these arguments."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nobody waits any more for the call of this number: cancel it."""


# From the client to the case


@dataclass(frozen=True, slots=True)
class Connected:
    """The value of `Connect`: what the driver is, and which operations it has."""

    info: Any
    operations: frozenset[str]


@dataclass(frozen=True, slots=True)
class Value:
    """The call returned this."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """The call raised this."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Item:
    """The call, an asynchronous generator, yielded this."""

    value: Any


@dataclass(frozen=True, slots=True)
class End:
    """The generator has ended."""


Answer: TypeAlias = Value | Failure | Item | End


# Framing


def frame(number: int, body: bytes) -> bytes:
    """Return the bytes of a frame."""
    return _HEAD.pack(number, len(body)) + body


class Deframer:
    """Cuts a stream of bytes, which comes in pieces of any size, into frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take more bytes; yield the frames that are complete now."""
        self._bytes += data
        while len(self._bytes) >= _HEAD.size:
            number, length = _HEAD.unpack_from(self._bytes)
            end = _HEAD.size + length
            if len(self._bytes) < end:
                break
            body = bytes(self._bytes[_HEAD.size : end])
            del self._bytes[:end]
            yield number, body


def frames(stream: BinaryIO) -> Iterator[Frame]:
    """Yield the frames of a blocking stream until it ends."""
    deframer = Deframer()
    while data := stream.read1(1 << 16):  # type: ignore[attr-defined] # buffered streams have it
        yield from deframer.feed(data)


# Pickling


def dump(value: Any) -> bytes:
    """Return `value` pickled, together with the errors and the read-only mappings in it."""
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


def load(body: bytes) -> Any:
    """Return what `dump` was given."""
    return pickle.loads(body)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Pickle what the module `pickle` cannot, or gets wrong."""
        if isinstance(value, MappingProxyType):
            return dict, (dict(value),)
        if isinstance(value, BaseException):
            return _rebuild, (type(value), value.args, _state_of(value), value.__cause__)
        return NotImplemented


def _state_of(error: BaseException) -> dict[str, Any]:
    return {name: value for name, value in vars(error).items() if _can_be_pickled(value)}


def _can_be_pickled(value: Any) -> bool:
    try:
        dump(value)
    except Exception:  # noqa: BLE001 - whatever the reason
        return False
    return True


def _rebuild(
    kind: type[BaseException],
    args: tuple[Any, ...],
    state: dict[str, Any],
    cause: BaseException | None,
) -> BaseException:
    """Make an error anew without its `__init__`, which may want other arguments."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(state)
    error.__cause__ = cause
    return error
