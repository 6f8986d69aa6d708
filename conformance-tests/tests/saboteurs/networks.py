"""Defects that show when connections are cut, or the store is killed."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from networked.client import Connection, NetworkedDriver, NetworkedMemoryDriver, Pool
from networked.wire import Call, Failure, send

from saboteurs.base import saboteur
from stoker.driver import Capability, Durability, JobState, Settled, SettleStatus, Wake
from stoker.errors import DriverUnavailable


@saboteur("DUR-08")
class ClaimsAgain(NetworkedDriver):
    """A claim whose answer got lost is sent again, as client libraries like to do."""

    async def ask(self, call: Call) -> Any:
        try:
            return await super().ask(call)
        except DriverUnavailable:
            if call.operation != "claim":
                raise
            return await super().ask(call)


@saboteur("DUR-04", "DUR-05", "DUR-06", "DUR-07")
class NeverReconnects(NetworkedDriver):
    """The first failure is the last: the client stays with the connection that it had."""

    _failure: DriverUnavailable | None = None

    async def ask(self, call: Call) -> Any:
        if self._failure is not None:
            raise DriverUnavailable("it is broken", maybe_applied=False) from self._failure
        try:
            return await super().ask(call)
        except DriverUnavailable as error:
            self._failure = error
            raise
        except asyncio.CancelledError:
            self._failure = DriverUnavailable("it was cancelled", maybe_applied=True)
            raise


@saboteur("DUR-06", "DUR-08")
class NeverMaybe(NetworkedDriver):
    """No failure admits that the request may have been applied."""

    async def ask(self, call: Call) -> Any:
        try:
            return await super().ask(call)
        except DriverUnavailable as error:
            raise DriverUnavailable(str(error), maybe_applied=False) from error.__cause__


@saboteur("DUR-06")
class HidesTheCause(NetworkedDriver):
    """What the client library has said is not passed on."""

    async def ask(self, call: Call) -> Any:
        try:
            return await super().ask(call)
        except DriverUnavailable as error:
            text, maybe = str(error), error.maybe_applied
        raise DriverUnavailable(text, maybe_applied=maybe)


@saboteur("DUR-06")
class RaisesWhatTheLibraryRaises(NetworkedDriver):
    """A lost connection is an OSError to the core."""

    async def ask(self, call: Call) -> Any:
        try:
            return await super().ask(call)
        except DriverUnavailable as error:
            raise error.__cause__ or error  # noqa: B904 - that is the defect


class _KeepingPool(Pool):
    """Takes connections back whose call was not answered."""

    async def discard(self, connection: Connection) -> None:
        self.put(connection)


@saboteur("DUR-07")
class MixesAnswersUp(NetworkedDriver):
    """The answer to a call that was cancelled is taken for that of the next one."""

    def new_pool(self) -> Pool:
        return _KeepingPool(self._address, self._hello())


class _HastyConnection(Connection):
    """Takes what is there for all that comes."""

    async def ask(self, call: Call) -> Any:
        await send(self._writer, call)
        try:
            answer = pickle.loads((await self._reader.read(1 << 20))[4:])
        except (pickle.UnpicklingError, EOFError) as error:
            raise DriverUnavailable("half of an answer", maybe_applied=True) from error
        if isinstance(answer, Failure):
            raise answer.error()
        return answer


class _HastyPool(Pool):
    """Has such connections."""

    connection = _HastyConnection


@saboteur("DUR-07")
class TakesAPieceForTheWhole(NetworkedDriver):
    """One read from the connection is taken for one answer."""

    def new_pool(self) -> Pool:
        return _HastyPool(self._address, self._hello())


@saboteur("DUR-05")
class SettlesWithoutAnAnswer(NetworkedDriver):
    """A settlement that got lost is taken for done."""

    async def ask(self, call: Call) -> Any:
        try:
            return await super().ask(call)
        except DriverUnavailable:
            if call.operation != "settle":
                raise
            return [Settled(SettleStatus.APPLIED, JobState.COMPLETED) for _ in call.args[0]]


@saboteur("DUR-04")
class EnqueuesInHalves(NetworkedDriver):
    """A batch is sent in two parts, and is there in half when the second gets lost."""

    async def ask(self, call: Call) -> Any:
        if call.operation != "enqueue" or len(call.args[0]) < 2:
            return await super().ask(call)
        jobs = call.args[0]
        first = await super().ask(Call("enqueue", (jobs[:1],), call.kwargs))
        return first + await super().ask(Call("enqueue", (jobs[1:],), call.kwargs))


@saboteur("WAK-03")
class DeafAfterAReconnect(NetworkedDriver):
    """Whoever has lost its connection once is told nothing any more."""

    _is_deaf = False

    async def wait(self, queues: Sequence[str], timeout: timedelta) -> Wake:
        if self._is_deaf:
            await asyncio.sleep(timeout.total_seconds())
            return Wake.NOTHING
        try:
            return await super().wait(queues, timeout)
        except DriverUnavailable:
            self._is_deaf = True
            raise


@saboteur("RST-01", "RST-02")
class DurableInMemory(NetworkedMemoryDriver):
    """What is declared durable is in the memory of the server."""

    durability = Durability.DURABLE
    capabilities = NetworkedMemoryDriver.capabilities | {Capability.DURABLE_RESTART}


@saboteur("RST-01")
class PausesAreForgotten(NetworkedDriver):
    """After a restart of the store no queue is paused."""

    store = "networked.defective:PausesInMemory"


@saboteur("RST-02")
class CompletionsAreWrittenLater(NetworkedDriver):
    """A completion is acknowledged before the store has it."""

    store = "networked.defective:WritesLater"


@saboteur("RST-03")
class EpochsStartAgain(NetworkedMemoryDriver):
    """After a restart that lost the counter, epochs are issued a second time."""

    store = "networked.defective:EpochsFromOne"
