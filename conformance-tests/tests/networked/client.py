"""The driver: a pool of connections, one call at a time on each."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, ClassVar, Final, Self, TypeVar, cast

from networked.wire import Call, Failure, Hello, receive, send
from stoker.driver import (
    Capability,
    ClockSource,
    Driver,
    DriverInfo,
    Durability,
    Presence,
    Schedules,
    Scope,
    Wake,
)
from stoker.errors import DriverClosed, DriverUnavailable, InvalidInput

__all__ = ["Connection", "NetworkedDriver", "NetworkedMemoryDriver", "Pool"]

F = TypeVar("F", bound=Callable[..., Any])

_GRACE: Final = 5.0
_CUT: Final = (OSError, EOFError)


class Connection:
    """One connection, on which one call may be under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: tuple[str, int], hello: Hello) -> Self:
        """Connect and say whose it is.

        Raises:
            DriverUnavailable: the server cannot be reached.
        """
        writer: asyncio.StreamWriter | None = None
        try:
            reader, writer = await asyncio.open_connection(*address)
            connection = cls(reader, writer)
            await send(writer, hello)
            answer = await receive(reader)
        except BaseException as error:
            if writer is not None:
                writer.transport.abort()
            if isinstance(error, _CUT):
                text = f"no connection to {address}: {error}"
                raise DriverUnavailable(text, maybe_applied=False) from error
            raise
        if isinstance(answer, Failure):
            connection.abort()
            raise answer.error()
        return connection

    async def ask(self, call: Call) -> Any:
        """Return the answer to a call.

        Raises:
            DriverUnavailable: the connection was lost; the call may have been done.
            DriverError: the error in place of an answer.
        """
        try:
            await send(self._writer, call)
            answer = await receive(self._reader)
        except _CUT as error:
            text = f"the connection was lost during {call.operation}: {error}"
            raise DriverUnavailable(text, maybe_applied=True) from error
        if isinstance(answer, Failure):
            raise answer.error()
        return answer

    @property
    def is_cut(self) -> bool:
        """Whether it is known to be of no use any more."""
        return self._reader.at_eof() or self._reader.exception() is not None

    def abort(self) -> None:
        """Drop the connection at once, and let a call under way fail."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Drop the connection, and wait until that is done."""
        self.abort()
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # it had been cut before


class Pool:
    """The connections of one client, and the calls that are under way on them."""

    connection: ClassVar[type[Connection]] = Connection

    def __init__(self, address: tuple[str, int], hello: Hello) -> None:
        self._address = address
        self._hello = hello
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._waits: set[Connection] = set()
        self._none_busy = asyncio.Event()
        self.is_closing = False

    async def get(self) -> Connection:
        """Return a connection that nobody uses."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_cut:
                return connection
            await connection.close()
        return await self.connection.open(self._address, self._hello)

    def put(self, connection: Connection) -> None:
        """Take a connection back that is between two calls."""
        self._idle.append(connection)

    async def discard(self, connection: Connection) -> None:
        """Throw a connection away whose call did not come to its end."""
        await connection.close()

    async def ask(self, call: Call) -> Any:
        """Do one call, on a connection of its own."""
        connection = await self.get()
        if self.is_closing:
            await connection.close()
            raise DriverClosed("the driver was closed during this call")
        users = self._waits if call.operation == "wait" else self._busy
        users.add(connection)
        answered = False
        try:
            answer = await connection.ask(call)
            answered = True
        except DriverUnavailable:
            raise
        except Exception:
            answered = True  # an error in place of the answer
            raise
        finally:
            users.discard(connection)
            if answered and not self.is_closing:
                self.put(connection)
            else:
                await self.discard(connection)
            if not self._busy:
                self._none_busy.set()
        return answer

    async def close(self) -> None:
        """End waits at once, and calls after 5 s."""
        self.is_closing = True
        for connection in self._waits:
            connection.abort()
        if self._busy:
            self._none_busy.clear()
            try:
                await asyncio.wait_for(self._none_busy.wait(), _GRACE)
            except TimeoutError:
                for connection in self._busy:
                    connection.abort()
        while self._idle:
            await self._idle.pop().close()


def _remote(operation: F) -> F:
    """Return a method that has the server do an operation."""
    name = operation.__name__

    @wraps(operation)
    async def call(self: NetworkedDriver, *args: Any, **kwargs: Any) -> Any:
        return await self.ask(Call(name, args, kwargs))

    return cast(F, call)


class NetworkedDriver:
    """A client of the server; satisfies `stoker.driver.Driver`."""

    store: ClassVar[str] = "networked.stores:DurableStore"
    """What is behind the server."""
    durability: ClassVar[Durability] = Durability.DURABLE
    capabilities: ClassVar[frozenset[Capability]] = frozenset(Capability) - {
        Capability.TRANSACTIONAL
    }

    def __init__(self, address: tuple[str, int], namespace: str) -> None:
        self._address = address
        self._namespace = namespace
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()
        self._waits = False

    @property
    def info(self) -> DriverInfo:
        return DriverInfo(
            name="networked",
            version="1",
            capabilities=self.capabilities,
            scope=Scope.NETWORK,
            clock=ClockSource.SERVER,
            durability=self.durability,
        )

    def new_pool(self) -> Pool:
        """Return the connections of an open client, of which there are none yet."""
        return Pool(self._address, self._hello())

    async def open(self) -> None:
        async with self._opening:
            if self._pool is None:
                pool = self.new_pool()
                pool.put(await pool.get())
                self._pool = pool

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    def clone(self) -> Self:
        return type(self)(self._address, self._namespace)

    async def wait(self, queues: Any, timeout: timedelta) -> Wake:
        pool = self._opened()
        if self._waits:
            raise InvalidInput("this client waits already")
        self._waits = True
        try:
            wake = await pool.ask(Call("wait", (queues, timeout), {}))
        except (DriverUnavailable, DriverClosed):
            if pool.is_closing:
                return Wake.NOTHING
            raise
        finally:
            self._waits = False
        return Wake(wake)

    async def ask(self, call: Call) -> Any:
        """Have the server do a call; every operation but `wait` goes through here."""
        return await self._opened().ask(call)

    def _hello(self) -> Hello:
        return Hello(self._namespace, uuid.uuid4().hex)

    def _opened(self) -> Pool:
        if self._pool is None:
            raise DriverClosed("the driver is not open")
        return self._pool

    # Operations

    enqueue = _remote(Driver.enqueue)
    claim = _remote(Driver.claim)
    extend = _remote(Driver.extend)
    settle = _remote(Driver.settle)
    promote = _remote(Driver.promote)
    reap = _remote(Driver.reap)
    get = _remote(Driver.get)
    states = _remote(Driver.states)
    search = _remote(Driver.search)
    queues = _remote(Driver.queues)
    stats = _remote(Driver.stats)
    cancel = _remote(Driver.cancel)
    retry = _remote(Driver.retry)
    reschedule = _remote(Driver.reschedule)
    remove = _remote(Driver.remove)
    pause = _remote(Driver.pause)
    purge = _remote(Driver.purge)
    put_schedule = _remote(Schedules.put_schedule)
    fire_schedule = _remote(Schedules.fire_schedule)
    list_schedules = _remote(Schedules.list_schedules)
    remove_schedule = _remote(Schedules.remove_schedule)
    announce = _remote(Presence.announce)
    withdraw = _remote(Presence.withdraw)
    workers = _remote(Presence.workers)


class NetworkedMemoryDriver(NetworkedDriver):
    """A client of a server that forgets everything when it is started again."""

    store = "networked.stores:VolatileStore"
    durability = Durability.MEMORY
    capabilities = NetworkedDriver.capabilities - {Capability.DURABLE_RESTART}
