"""Where connections come from: a pool of the driver's own, or the user's."""

from __future__ import annotations

from typing import Any, Final

from stoker_postgres import _asyncpg
from stoker_postgres._asyncpg import Connection, Pool

__all__ = ["Own", "Source", "Users"]

_CONNECT_SECONDS: Final = 10.0
_COMMAND_SECONDS: Final = 30.0
"""Longer than a statement takes, unless it waits for a lock: then it is sent again."""

_SETTINGS: Final = {
    "application_name": "stoker",
    "default_transaction_isolation": "read committed",
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

_RESET: Final = "select pg_advisory_unlock_all(); close all; unlisten *; reset all"


class Own:
    """A pool that is opened and closed with the driver."""

    def __init__(self, dsn: str, size: int, *, pooled: bool) -> None:
        self.dsn = dsn
        self.size = size
        self.pooled = pooled
        """Behind a pooler that gives each transaction another connection: nothing is set on a
        connection, and no statement is kept prepared."""

    async def open(self) -> Pool:
        """Return a pool with one open connection."""
        return await _asyncpg.create_pool(
            self.dsn, min_size=1, max_size=self.size, **self._options()
        )

    async def connect(self, _pool: Pool) -> Connection:
        """Return a connection for listening."""
        return await _asyncpg.connect(self.dsn, **self._options())

    async def let_go(self, _pool: Pool, connection: Connection) -> None:
        """End a connection for listening."""
        await connection.close()

    async def clean(self, connection: Connection) -> None:
        """Undo what a user may have set on a connection."""
        if not self.pooled:
            await connection.execute(_RESET)

    async def close(self, pool: Pool) -> None:
        """Close the pool when its connections are back."""
        await pool.close()

    def terminate(self, pool: Pool) -> None:
        """Close the pool at once; what runs on its connections fails."""
        pool.terminate()

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "timeout": _CONNECT_SECONDS,
            "command_timeout": _COMMAND_SECONDS,
        }
        if self.pooled:
            return options | {"statement_cache_size": 0}
        return options | {"server_settings": _SETTINGS}


class Users:
    """A pool that the user opens and closes. Listening keeps one of its connections."""

    pooled: Final = False

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.size = pool.get_max_size()

    async def open(self) -> Pool:
        """Return the pool as it is."""
        return self._pool

    async def connect(self, pool: Pool) -> Connection:
        """Return a connection for listening."""
        return await pool.acquire(timeout=_CONNECT_SECONDS)

    async def let_go(self, pool: Pool, connection: Connection) -> None:
        """Give a connection for listening back."""
        await pool.release(connection)

    async def clean(self, connection: Connection) -> None:
        """Do nothing: the user's pool resets what it gets back."""

    async def close(self, pool: Pool) -> None:
        """Do nothing: it is the user's."""

    def terminate(self, pool: Pool) -> None:
        """Do nothing: as above."""


Source = Own | Users
