"""A transaction of the driver's own: begun with what its statements need, and ended in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from stoker_postgres._asyncpg import Connection
from stoker_postgres._errors import FAILURES

__all__ = ["RELEASE_SECONDS", "abandon", "calm", "transaction"]

RELEASE_SECONDS: Final = 5.0
"""How long a rollback, or the end of a cancelled statement, is waited for. Usually the server
confirms at once that nothing comes later; on a dead link nobody does."""


def abandon(connection: Connection) -> None:
    """End a connection at once; the server then rolls back what was open on it.

    When a connection breaks the pool takes it back by itself, and refuses even this afterwards.
    """
    with suppress(*FAILURES):
        connection.terminate()


@asynccontextmanager
async def transaction(connection: Connection, begin: str) -> AsyncIterator[None]:
    """Begin with these statements, and commit; roll back if anything fails or is cancelled."""
    try:
        await connection.execute(begin)
        yield
        await connection.execute("commit")
    except BaseException:
        await calm(connection, "rollback")
        raise


async def calm(connection: Connection, last: str = "select") -> None:
    """Run a last statement, after which nothing is under way on a connection, or abandon it."""
    try:
        async with asyncio.timeout(RELEASE_SECONDS):
            if not connection.is_closed():
                await connection.execute(last)
    except FAILURES:
        abandon(connection)
    except BaseException:  # cancelled a second time: the error of the block may be lost
        abandon(connection)
        raise
