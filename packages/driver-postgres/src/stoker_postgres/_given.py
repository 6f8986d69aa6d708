"""Transactions on connections of other client libraries: what they have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Any, ClassVar, Final

from stoker.errors import DriverUnavailable, InvalidInput
from stoker_postgres._statements import Fetches

__all__ = ["READ_COMMITTED", "GivenBlock", "in_transaction_already", "no_transaction"]

READ_COMMITTED: Final = "set transaction isolation level read committed"
"""For the beginning of a block, whatever the default of the connection is: see `Block`."""

_ROLLED_BACK: Final = ("25", "40", "53", "55", "57014")
"""Classes and states of errors for reasons outside of the user's code, after which a transaction
certainly is not committed."""

_CUT_OFF: Final = ("08", "57", "58", "XX")
"""Those after which nobody knows."""


def no_transaction(advice: str) -> InvalidInput:
    """Return what to raise when there is no transaction to join."""
    return InvalidInput(f"no transaction is open on this connection: {advice}")


def in_transaction_already() -> InvalidInput:
    """Return what to raise when a block cannot begin a transaction of its own."""
    return InvalidInput(
        "the connection is in a transaction already, whose commit could not be seen: give one "
        "without, or none"
    )


class GivenBlock(ABC):
    """One transaction on a connection that the user has given, and keeps.

    It commits when the block ends well and rolls back else. An error of the user's own, such as a
    constraint that is checked at the commit, is raised as it is; the others say whether the
    transaction may have been committed.
    """

    failures: ClassVar[tuple[type[Exception], ...]]
    """Whatever a call of the client library may raise."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._db: Fetches | None = None

    @abstractmethod
    async def _begin(self) -> Fetches:
        """Begin a read committed transaction, and return what runs statements in it.

        Raises:
            InvalidInput: the connection is in a transaction already, or cannot have one.
        """

    @abstractmethod
    async def _is_open(self) -> bool:
        """Return whether the transaction that was begun is still open."""

    @abstractmethod
    async def _flush(self) -> None:
        """Send what the library has kept back, while a failure of it can still be rolled back."""

    @abstractmethod
    async def _commit(self) -> None: ...

    @abstractmethod
    async def _roll_back(self) -> None:
        """Roll back what was begun here, if something was."""

    @abstractmethod
    def _sqlstate(self, error: Exception) -> str | None:
        """Return the server's code for an error; `None` if the server did not say anything."""

    async def __aenter__(self) -> Any:
        try:
            self._db = await self._begin()
        except BaseException as error:
            await self._give_up()
            if isinstance(error, self.failures):
                raise self._told("no transaction could be begun", error, unsure=False) from error
            raise
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            await self._give_up()
            return
        try:
            await self._prepare_commit()
            await self._commit_or_tell()
        except BaseException:
            await self._give_up()
            raise

    async def _prepare_commit(self) -> None:
        if not await self._is_open():
            raise InvalidInput(
                "the transaction was ended inside of its block: leave commit and rollback to it"
            )
        await self._flush()
        assert self._db is not None
        try:
            # The commit of a transaction that has failed is a rollback, and no error.
            await self._db.fetch("select 1::bigint")
        except self.failures as error:
            raise DriverUnavailable(
                f"the transaction had failed before its commit: {error}", maybe_applied=False
            ) from error

    async def _commit_or_tell(self) -> None:
        try:
            await self._commit()
        except self.failures as error:
            raise self._told("the transaction did not commit", error, unsure=True) from error

    async def _give_up(self) -> None:
        # Without its connection the server rolls back by itself; what led here is what counts.
        with suppress(*self.failures):
            await self._roll_back()

    def _told(self, what: str, error: Exception, *, unsure: bool) -> Exception:
        state = self._sqlstate(error)
        if state is not None and state.startswith(_ROLLED_BACK):
            return DriverUnavailable(f"{what}: {error}", maybe_applied=False)
        if state is None or state.startswith(_CUT_OFF):
            return DriverUnavailable(f"{what}: {error}", maybe_applied=unsure)
        return error
