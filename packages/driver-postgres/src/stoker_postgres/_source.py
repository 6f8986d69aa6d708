"""Where connections come from: a pool of the driver's own, or the user's."""

from __future__ import annotations

from typing import Any, Final

from stoker.errors import InvalidInput
from stoker_postgres import _asyncpg
from stoker_postgres._asyncpg import Connection, Pool
from stoker_postgres._pool import OwnPool
from stoker_postgres._schema import check_server

__all__ = ["Own", "Source", "Users"]

_CONNECT_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 5.0
"""How much longer a client waits for the server than the server for the end of the statement."""
_FEWEST: Final = 3
"""Connections of a user's pool: for listening, for a block of a user, for the operations."""

_SETTINGS: Final = {
    # Plans depend neither on values nor on statistics. A queue is empty at one moment and full at
    # the next, and a plan that was made for the empty one reads the full one from end to end. Each
    # statement is written for one plan: from key to key, by an index.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""The planner's settings for the statements of the driver."""

_PLAN: Final = "; ".join(f"set {name} = {value}" for name, value in _SETTINGS.items())
_PLAN_AS_USUAL: Final = "; ".join(f"set local {name} to default" for name in _SETTINGS)
_RESET: Final = "select pg_advisory_unlock_all(); close all; unlisten *; reset all"
_BEGIN: Final = "begin isolation level read committed"


def _begin_alone(seconds: float) -> str:
    """Return how to begin on a connection that is as others have set it, and stays so."""
    settings = {
        **_SETTINGS,
        "statement_timeout": str(_milliseconds(seconds)),
        # A client that has stopped between two statements would hold rows for ever.
        "idle_in_transaction_session_timeout": str(_milliseconds(_GRACE_SECONDS)),
    }
    return "; ".join([_BEGIN, *(f"set local {name} = {settings[name]}" for name in settings)])


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1_000))


class Own:
    """A pool that is opened and closed with the driver."""

    def __init__(self, dsn: str, size: int, *, pooled: bool, command_timeout: float) -> None:
        self.dsn = dsn
        self.size = size
        self.pooled = pooled
        """Behind a pooler that gives each transaction another connection: nothing is set on a
        connection, and no statement is kept prepared."""
        self.command_timeout = command_timeout
        self.is_set_up = not pooled
        """Whether the planner's settings are those of the connections, or have to be given to each
        transaction."""
        self.begin = _begin_alone(command_timeout) if pooled else _BEGIN

    async def open(self) -> Pool:
        """Return a pool with one open connection."""
        pool = OwnPool(self._set_up, self.size)
        await pool.release(await pool.acquire())
        return pool

    async def connect(self, _pool: Pool) -> Connection:
        """Return a connection for listening."""
        return await _asyncpg.connect(self.dsn, **self._options())

    async def let_go(self, _pool: Pool, connection: Connection) -> None:
        """End a connection for listening."""
        await connection.close()

    async def lend(self, connection: Connection) -> None:
        """Let a transaction that has begun be planned as the server's owner wants it."""
        if self.is_set_up:
            await connection.execute(_PLAN_AS_USUAL)

    async def clean(self, connection: Connection) -> None:
        """Undo what a user may have left on a connection."""
        await connection.reset()  # what asyncpg itself keeps: who listens
        if self.is_set_up:
            await connection.execute(f"{_RESET}; {_PLAN}")

    async def close(self, pool: Pool) -> None:
        """Close the pool when its connections are back."""
        await pool.close()

    def terminate(self, pool: Pool) -> None:
        """Close the pool at once; what runs on its connections fails."""
        pool.terminate()

    async def _set_up(self) -> Connection:
        connection = await _asyncpg.connect(self.dsn, **self._options())
        try:
            check_server(connection)
            if self.is_set_up:
                await connection.execute(_PLAN)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "timeout": _CONNECT_SECONDS,
            "command_timeout": self.command_timeout + _GRACE_SECONDS,
        }
        if self.pooled:
            return options | {"statement_cache_size": 0}
        settings = {
            "application_name": "stoker",
            "default_transaction_isolation": "read committed",
            "statement_timeout": str(_milliseconds(self.command_timeout)),
        }
        return options | {"server_settings": settings}


class Users:
    """A pool that the user opens and closes. Listening keeps one of its connections."""

    pooled: Final = False
    is_set_up: Final = False

    def __init__(self, pool: Pool, command_timeout: float) -> None:
        self.size = pool.get_max_size()
        if self.size < _FEWEST:
            raise InvalidInput(
                f"the pool has max_size={self.size}: the driver needs {_FEWEST} or more"
            )
        self.command_timeout = command_timeout
        self.begin = _begin_alone(command_timeout)
        self._pool = pool

    async def open(self) -> Pool:
        """Return the pool as it is."""
        return self._pool

    async def connect(self, pool: Pool) -> Connection:
        """Return a connection for listening."""
        return await pool.acquire(timeout=_CONNECT_SECONDS)

    async def let_go(self, pool: Pool, connection: Connection) -> None:
        """Give a connection for listening back."""
        await pool.release(connection)

    async def lend(self, connection: Connection) -> None:
        """Do nothing: the connection is as the user has it."""

    async def clean(self, connection: Connection) -> None:
        """Do nothing: the user's pool resets what it gets back."""

    async def close(self, pool: Pool) -> None:
        """Do nothing: it is the user's."""

    def terminate(self, pool: Pool) -> None:
        """Do nothing: as above."""


Source = Own | Users
