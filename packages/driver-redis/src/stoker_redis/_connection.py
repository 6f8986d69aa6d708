"""One connection: made, greeted, and used for one exchange at a time.

The library's client would send a command again when its connection broke, after it may have been
applied. So the driver uses the library's connections, which do not, and not its client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from stoker_redis._deadline import Deadline

__all__ = [
    "Address",
    "Command",
    "Dial",
    "Greeting",
    "Link",
    "Settings",
    "UnsuitableServer",
    "end",
    "greet",
    "is_usable",
    "talk",
]

Link: TypeAlias = AbstractConnection
"""An open connection of the library."""

Command: TypeAlias = Sequence[str | bytes | int]
"""A command and its arguments."""

Dial: TypeAlias = Callable[[], Awaitable[Link]]
"""Opens one more connection to some node."""

Address: TypeAlias = tuple[str, int]

_CONNECT_SECONDS: Final = 10.0
"""How long connecting, logging in and greeting may take together."""

_PEEK: Final = "can_read" if hasattr(AbstractConnection, "can_read") else "can_read_destructive"
"""What tells whether there is something to be read; before version 8 by the longer name."""

_OURS: Final[Mapping[str, Any]] = {
    "decode_responses": False,
    "health_check_interval": 0,
    "retry_on_timeout": False,
    # Each exchange has a time limit of its own; a read that blocks must not have the library's.
    "socket_timeout": None,
}
"""How every connection is set up, whatever the settings say."""


class Greeting(NamedTuple):
    """What a server says of itself."""

    version: tuple[int, int]
    mode: str
    """`standalone`, `cluster` or `sentinel`."""
    role: str
    """`master`, `replica`, or nothing."""


class UnsuitableServer(RedisError):
    """A server answers, but never will be one for this driver."""


class Settings:
    """How to connect, but for the address: credentials, encryption, database, protocol."""

    def __init__(self, kind: type[AbstractConnection], options: Mapping[str, Any]) -> None:
        self.kind = kind
        self.options = {**options, **_OURS}

    async def connect(self, address: Address | None = None, *, primary: bool = True) -> Link:
        """Open a connection, to a primary unless told otherwise.

        Without an address it leads to where the settings say.

        Raises:
            RedisError, OSError: there is no server, it does not let the user in, or it is a
                replica; the connection is closed then.
        """
        options: dict[str, Any] = {**self.options, "retry": Retry(NoBackoff(), 0)}
        if address is not None:
            options["host"], options["port"] = address
        link = self.kind(**options)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await link.connect()  # type: ignore[no-untyped-call]
                greeting = await greet(link)
            if primary:
                _check_primary(greeting)
        except BaseException:
            await end(link)
            raise
        return link

    def where(self) -> str:
        """Return the place that the settings name, fit for messages."""
        if path := self.options.get("path"):
            return str(path)
        return f"{self.options.get('host', 'localhost')}:{self.options.get('port', 6379)}"


async def greet(link: Link) -> Greeting:
    """Ask a server what it is."""
    [answer] = await talk(link, [("HELLO",)], _CONNECT_SECONDS)
    if isinstance(answer, ResponseError):
        raise answer
    pairs = (
        answer if isinstance(answer, dict) else dict(zip(answer[::2], answer[1::2], strict=True))
    )
    major, minor, *_ = (int(part) for part in pairs[b"version"].split(b".")[:2])
    role = pairs.get(b"role", b"").decode()  # a Sentinel has none
    return Greeting((major, minor), pairs[b"mode"].decode(), role)


def _check_primary(greeting: Greeting) -> None:
    if greeting.mode == "sentinel":
        raise UnsuitableServer(
            "this is a Sentinel, which keeps no data: write redis+sentinel://host:port/service"
        )
    if greeting.role != "master":
        raise ReadOnlyError("this is a replica: the driver needs the primary")


async def is_usable(link: Link) -> bool:
    """Return whether an idle connection is still there, with nothing left to be read."""
    try:
        return link.is_connected and not await getattr(link, _PEEK)()
    except (RedisError, OSError):
        return False


async def talk(link: Link, commands: Sequence[Command], seconds: float) -> list[Any]:
    """Send commands in one go and return their answers; refusals are among the answers.

    A connection on which an exchange did not end is closed: an answer that comes late must not be
    taken for that of another command.

    Raises:
        RedisError, OSError: the connection broke, or the answers took longer than `seconds`.
    """
    # Its types take a tuple of one only.
    data = [hiredis.pack_command(tuple(command)) for command in commands]  # type: ignore[arg-type]
    try:
        with Deadline(seconds):
            await _send(link, data)
            return [await _answer(link) for _ in commands]
    except BaseException:
        await end(link)
        raise


async def _send(link: Link, data: list[bytes]) -> None:
    try:
        await link.send_packed_command(data, check_health=False)
    except AttributeError as error:
        # So do some versions of asyncio (3.13.0) put it that a transport has lost its connection.
        raise ConnectionResetError("the connection is lost") from error


async def _answer(link: Link) -> Any:
    try:
        return await link.read_response(disable_decoding=True)
    except ResponseError as refusal:
        return refusal


async def end(link: Link) -> None:
    """Close a connection without waiting for the other side."""
    with suppress(RedisError, OSError):
        await link.disconnect(nowait=True)
