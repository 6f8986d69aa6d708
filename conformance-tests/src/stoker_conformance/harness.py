"""What an author writes to have a driver tested: how to get a store, and clients of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from stoker.driver import Driver

__all__ = ["Deviation", "Harness", "NotOffered", "UserConnection"]

Namespace = TypeVar("Namespace")


class NotOffered(Exception):
    """A case needs an optional piece of the harness that this harness does not have."""


class UserConnection(Protocol):
    """A connection of the client library, such as an application would open for itself."""

    @property
    def raw(self) -> Any:
        """The connection itself: what is passed to `enqueue_in` and `settle_in`."""
        ...

    async def begin(self) -> None:
        """Begin a transaction, in the way that is usual for the client library."""
        ...

    async def commit(self) -> None:
        """Commit it."""
        ...

    async def rollback(self) -> None:
        """Roll it back."""
        ...


@dataclass(frozen=True, slots=True)
class Deviation:
    """A case that a driver is known to fail, and why. It has to fail: a pass is an error too."""

    reason: str
    link: str
    """Where it is discussed: an issue, a page of documentation."""


class Harness(ABC, Generic[Namespace]):
    """The one class that an author of a driver writes.

    A namespace is whatever tells one store from another: a folder, a schema, a prefix. Its type
    is the author's own; the suite only hands it back.

    Everything runs on one event loop: `setup`, then for each case `namespace`, `connect` as often
    as the case needs clients, and `discard`; at last `teardown`. Example:

        class MemoryHarness(Harness[str]):
            async def namespace(self) -> str:
                return f"conformance-{uuid4()}"

            async def connect(self, namespace: str) -> Driver:
                return MemoryDriver(f"memory://{namespace}")

            async def footprint(self, namespace: str) -> int:
                return stored_objects(namespace)

    Cases that need processes start them with a pickled copy of the harness, which there calls
    nothing but `connect`. So the class lives in a module that can be imported, and what cannot be
    pickled (a server's process, a connection) is left out by a `__getstate__`.
    """

    address: tuple[str, int] | None = None
    """Host and port of the store, for drivers whose scope is the network: set it in `setup` at the
    latest, and have `connect` use it. The suite puts its own proxy in between by changing it in a
    copy of the harness."""

    deviations: ClassVar[Mapping[str, Deviation]] = {}
    """Known deviations, by the id of the case. With one the result is `partial` at best."""

    async def setup(self) -> None:
        """Prepare what all cases share, once a run: start a server, create a template."""

    async def teardown(self) -> None:
        """Undo `setup`; called even when it failed half-way, or cases did."""

    @abstractmethod
    async def namespace(self) -> Namespace:
        """Return a namespace that is isolated from all others and holds nothing."""

    async def discard(self, namespace: Namespace) -> None:
        """Throw a namespace away; its clients are closed by then."""

    @abstractmethod
    async def connect(self, namespace: Namespace) -> Driver:
        """Return a new client, with connections of its own, that is *not yet open*.

        The suite opens and closes it. Two clients of one namespace are clients of one store.
        """

    @abstractmethod
    async def footprint(self, namespace: Namespace) -> int:
        """Count what the namespace holds (rows, keys, entries) without going through a driver.

        Count everything that a job may leave behind: its record, its place in an index that the
        driver keeps itself, its unique key. A case compares counts, so the unit does not matter.
        """

    def connection(self, namespace: Namespace) -> AbstractAsyncContextManager[UserConnection]:
        """Open a user's own connection to the store, and close it at the end of the block.

        Optional; required of a driver that declares the capability `transactional`.
        """
        raise NotOffered(
            "the driver declares 'transactional', so its harness has to have `connection`"
        )

    async def restart_backend(self) -> None:
        """Kill the store without a goodbye, start it again, and return when it answers.

        Optional; required of a driver that declares the capability `durable_restart`. Do it only to
        a server that the harness has started itself. Where nothing is to be restarted (the store is
        a file), do nothing: the suite kills and re-opens the clients.
        """
        raise NotOffered(
            "the driver declares 'durable_restart', so its harness has to have `restart_backend`"
        )
