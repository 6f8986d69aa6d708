"""The store of the PostgreSQL benchmark: a database for each run, and the server's own counters."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import asyncpg
from benchmarks.harness.checks import Wrong
from tools.servers.postgres import PostgresServer

__all__ = ["SETTINGS", "PostgresStore"]

SETTINGS: Final = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "50000",
    # A checkpoint makes the next change of each page write all of it to the log. One that falls
    # into the run of one participant and not into another's would be taken for a difference.
    "checkpoint_timeout": "1h",
    "max_wal_size": "32GB",
}
_FORGOTTEN: Final = "select dealloc from pg_stat_statements_info"
_WORK: Final = """
select
    (select sum(calls) from pg_stat_statements where dbid = d.oid) as statements,
    (select sum(total_exec_time) * 1000 from pg_stat_statements where dbid = d.oid) as server_us,
    s.xact_commit + s.xact_rollback as transactions,
    pg_current_wal_insert_lsn() - '0/0'::pg_lsn as wal_bytes
from pg_database as d join pg_stat_database as s on s.datid = d.oid
where d.datname = $1
"""


class PostgresStore:
    """A server: the one at `url`, or one of its own with default durability.

    The server at `url` has to have `pg_stat_statements` in `shared_preload_libraries`, and its user
    may create databases. They are dropped at the end.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._own = url is None
        self._databases: list[str] = []
        self._run = secrets.token_hex(3)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._url is None:
            server = await asyncio.to_thread(self._stack.enter_context, PostgresServer(**SETTINGS))
            self._url = server.url
        self._admin = await asyncpg.connect(self._url)
        self._stack.push_async_callback(self._clean)
        await self._admin.execute("create extension if not exists pg_stat_statements")
        self._forgotten = await self._admin.fetchval(_FORGOTTEN)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def fresh(self) -> str:
        """Create an empty database and return its URL.

        None is dropped before the end: that would be a checkpoint for each.
        """
        assert self._url is not None
        name = f"bench_{self._run}_{len(self._databases) + 1}"
        await self._admin.execute(f'create database "{name}"')
        self._databases.append(name)
        return urlsplit(self._url)._replace(path=f"/{name}").geturl()

    async def work(self, url: str) -> dict[str, float]:
        """Return statements, transactions, time and bytes of log so far.

        Sessions report what they did late, and at the latest when they end: those that are to be
        counted have to be over.

        Raises:
            Wrong: the server has forgotten statements that were to be counted.
        """
        if await self._admin.fetchval(_FORGOTTEN) != self._forgotten:
            raise Wrong("statements were forgotten: raise pg_stat_statements.max on the server")
        row = await self._admin.fetchrow(_WORK, urlsplit(url).path[1:])
        return {name: float(row[name] or 0) for name in row.keys()}  # noqa: SIM118 - a record

    async def version(self) -> str:
        """Return which server it is."""
        version = await self._admin.fetchval("show server_version")
        return f"PostgreSQL {version}, default durability" if self._own else f"PostgreSQL {version}"

    async def _clean(self) -> None:
        for name in [] if self._own else self._databases:  # our own goes as a whole
            await self._admin.execute(f'drop database "{name}" with (force)')
        await self._admin.close()
