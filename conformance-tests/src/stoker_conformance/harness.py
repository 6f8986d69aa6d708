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

    def unusual_connection(
        self, namespace: Namespace
    ) -> AbstractAsyncContextManager[UserConnection]:
        """Open a user's own connection that is set up in a way of its own, as `connection` does.

        Optional: whatever the client library lets a user change of how values are sent and read:
        row factories, codecs, adapters. Where the library can tell, leaving the block should fail
        if the driver has changed any of it.
        """
        return self.connection(namespace)

    def snapshot_connection(
        self, namespace: Namespace
    ) -> AbstractAsyncContextManager[UserConnection]:
        """Open a user's own connection whose transactions are as strict as the store has them.

        Optional: `begin` begins a transaction at the strictest isolation level, and reads
        something, so that from then on it sees the store as it is in that moment. Where a session
        has a default for the level, it is that one here.
        """
        return self.connection(namespace)

    async def set_time_zone(self, namespace: Namespace, zone: str) -> None:
        """Let the store's new sessions live in this zone, a name such as `Asia/Tokyo`.

        Optional, for stores whose sessions have a time zone: what a client that is connected from
        now on would get when it does not ask for one. It must not matter.
        """

    async def restart_backend(self) -> None:
        """Kill the store without a goodbye, start it again, and return when it answers.

        Optional; required of a driver that declares the capability `durable_restart`. Do it only to
        a server that the harness has started itself. Where nothing is to be restarted (the store is
        a file), do nothing: the suite kills and re-opens the clients.
        """
        raise NotOffered(
            "the driver declares 'durable_restart', so its harness has to have `restart_backend`"
        )

    async def checkpoint_backend(self) -> None:
        """Have everything that was acknowledged so far survive `rewind_backend`.

        Optional, and only for drivers with a scope of the network whose `durability` is less than
        durable: their clients outlive a crash of the store that loses the last writes. Flush, or
        copy the files that the store would find after such a crash. For a store that keeps nothing
        there is nothing to do.
        """
        raise NotOffered("the harness cannot lose the last writes of its store")

    async def rewind_backend(self) -> None:
        """Restart the store as after a crash that lost the writes since `checkpoint_backend`.

        Kill it, put back what was copied, start it again, and return when it answers. It may lose
        more than that. Optional, as is `checkpoint_backend`.
        """
        raise NotOffered("the harness cannot lose the last writes of its store")
