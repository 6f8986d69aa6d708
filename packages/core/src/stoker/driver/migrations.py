"""Bringing a store's schema up to date as a step of its own, apart from opening it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from stoker._value import value

__all__ = ["Migrates", "Migration"]


@value
class Migration:
    """One step from a version of a store's schema to the next."""

    version: int
    """The version that it leads to."""
    name: str
    """Short, unique, and in the order of versions: what messages call it."""
    script: str
    """All that it runs, in the language of the store: who runs the scripts in order, in one
    transaction, has done what `migrate` does."""


@runtime_checkable
class Migrates(Protocol):
    """What a driver has whose store has a schema that grows with versions of the driver.

    No capability: `open` brings a store up to date by itself, and jobs run the same way. It is for
    those who let nobody but a deployment change their schema, or want to read the steps before.
    Both operations may be called on a driver that is open and on one that is not.
    """

    async def pending_migrations(self) -> list[Migration]:
        """Return what `migrate` would apply now, in order. Changes nothing.

        Raises:
            DriverUnavailable: the store cannot be reached.
            IncompatibleStore: what is there is newer, or not the driver's, or cannot be read.
        """
        ...

    async def migrate(self) -> list[Migration]:
        """Bring the schema to the newest version, all or nothing, and return what was applied.

        Of many that try at once one applies it. The others wait for it, and return nothing.

        Raises:
            DriverUnavailable: the store cannot be reached; nothing was applied, or all.
            IncompatibleStore: as above, or a right is missing; says which.
        """
        ...
