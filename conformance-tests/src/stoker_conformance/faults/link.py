"""A way to the store on which requests and replies get lost, when a case wants them to.

Over a network they really do: in a proxy between the client and the store. For a store without a
network the loss is injected in front of the driver, which shows what a re-send does, if nothing of
how the driver meets the loss.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, Generic, TypeVar

from stoker.driver import Driver
from stoker.errors import DriverUnavailable
from stoker_conformance.expect import Inconclusive
from stoker_conformance.faults.faulty import FailPoint, Failures, FaultyDriver
from stoker_conformance.faults.proxy import FaultProxy, LinkFault
from stoker_conformance.harness import Harness, NotOffered

__all__ = ["Attempt", "Link", "Lost", "injected_link", "network_link"]

S = TypeVar("S")
T = TypeVar("T")


class Lost(Enum):
    """What gets lost between a client and its store."""

    REQUEST = auto()
    """The store sees nothing of it."""
    REPLY = auto()
    """The store has done what it was asked for, and the client does not know."""


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """What became of one call while something was to be lost."""

    lost: bool
    """Whether it was; otherwise the call was over before."""
    answer: T | None
    error: DriverUnavailable | None
    """What the call raised in place of an answer."""


class Link(ABC):
    """Clients, and what they lose."""

    proxy: FaultProxy
    """The proxy in between; only cases that need a network use it, below that there is none."""

    def __init__(self, connect: Callable[[], Awaitable[Driver]]) -> None:
        self._connect = connect
        self._clients: list[Driver] = []

    async def client(self) -> Driver:
        """Return a new client on this link that is not open; it is closed when the link ends."""
        client = await self._connect()
        self._clients.append(client)
        return client

    async def driver(self) -> Driver:
        """Return a new, open client on this link; it is closed when the link ends."""
        client = await self.client()
        await client.open()
        return client

    async def sweep(
        self,
        operation: str,
        prepare: Callable[[], Awaitable[S]],
        send: Callable[[S], Awaitable[T]],
        *,
        most: int,
    ) -> AsyncIterator[tuple[S, Attempt[T]]]:
        """Lose each request and each reply of an operation in turn, of a new call each time.

        Args:
            operation: the name of the operation that `send` calls.
            prepare: makes what a call is about.
            send: makes the call.
            most: how many exchanges of a call are tried, if it has as many.

        Raises:
            Inconclusive: nothing at all passed that could have been lost.
        """
        for lost in Lost:
            for skip in range(most):
                subject = await prepare()
                attempt = await self.attempt(lost, operation, partial(send, subject), skip=skip)
                yield subject, attempt
                if not attempt.lost:
                    break

    async def attempt(
        self, lost: Lost, operation: str, send: Callable[[], Awaitable[T]], *, skip: int = 0
    ) -> Attempt[T]:
        """Call `send` once, and lose a request or a reply of it.

        Args:
            lost: what gets lost.
            operation: the name of the operation that `send` calls.
            send: what makes the call.
            skip: how many exchanges with the store pass before.

        Raises:
            Inconclusive: nothing at all passed that could have been lost.
        """
        before = self.losses
        self.lose(lost, operation, skip)
        try:
            answer, error = await send(), None
        except DriverUnavailable as failure:
            answer, error = None, failure
        finally:
            self.heal()
        if skip == 0 and self.losses == before:
            raise Inconclusive(
                f"nothing of {operation} passed through the proxy of the suite: `connect` has to "
                "use the `address` of its harness"
            )
        return Attempt(self.losses > before, answer, error)

    @property
    @abstractmethod
    def losses(self) -> int:
        """How often something was lost."""

    @abstractmethod
    def lose(self, lost: Lost, operation: str, skip: int = 0) -> None:
        """Lose a request or a reply once: of the call of this operation that comes next."""

    @abstractmethod
    def heal(self) -> None:
        """Lose nothing more."""

    async def close(self) -> None:
        """Close every client, and raise the first error when all are."""
        errors: list[Exception] = []
        for client in self._clients:
            try:
                await client.close()
            except Exception as error:  # noqa: BLE001 - the others have to be closed as well
                errors.append(error)
        if errors:
            raise errors[0]


class _NetworkLink(Link):
    """What is lost is lost in a proxy, and the connection with it."""

    def __init__(self, connect: Callable[[], Awaitable[Driver]], proxy: FaultProxy) -> None:
        super().__init__(connect)
        self.proxy = proxy

    @property
    def losses(self) -> int:
        return self.proxy.happened.total()

    def lose(self, lost: Lost, operation: str, skip: int = 0) -> None:
        fault = LinkFault.CUT_REQUEST if lost is Lost.REQUEST else LinkFault.CUT_REPLY
        self.proxy.arm(fault, skip=skip)

    def heal(self) -> None:
        self.proxy.disarm()
        self.proxy.delay, self.proxy.sliced, self.proxy.refusing = 0.0, False, False


class _InjectedLink(Link):
    """What is lost is lost in front of the driver; a call is one exchange."""

    def __init__(self, connect: Callable[[], Awaitable[Driver]], failures: Failures) -> None:
        super().__init__(connect)
        self._failures = failures

    @property
    def losses(self) -> int:
        return self._failures.happened.total()

    def lose(self, lost: Lost, operation: str, skip: int = 0) -> None:
        point = FailPoint.REQUEST_LOST if lost is Lost.REQUEST else FailPoint.REPLY_LOST
        self._failures.fail(operation, point, nth=skip + 1)

    def heal(self) -> None:
        self._failures.stop()


@asynccontextmanager
async def network_link(harness: Harness[Any], namespace: object) -> AsyncIterator[Link]:
    """Put a proxy in front of the store, for the length of a block.

    Raises:
        NotOffered: the harness does not say where the store is.
    """
    if harness.address is None:
        raise NotOffered(
            "the driver's scope is the network, so its harness has to set `address`, and `connect` "
            "to use it"
        )
    async with FaultProxy(harness.address) as proxy:
        detour = copy.copy(harness)
        detour.address = proxy.address
        link = _NetworkLink(lambda: detour.connect(namespace), proxy)
        try:
            yield link
        finally:
            # A client has to be able to close whatever became of its connections.
            link.heal()
            await proxy.cut()
            await link.close()


@asynccontextmanager
async def injected_link(harness: Harness[Any], namespace: object) -> AsyncIterator[Link]:
    """Put a faulty driver in front of each client, for the length of a block."""
    failures = Failures()

    async def connect() -> Driver:
        return FaultyDriver.around(await harness.connect(namespace), failures)

    link = _InjectedLink(connect, failures)
    try:
        yield link
    finally:
        link.heal()
        await link.close()
