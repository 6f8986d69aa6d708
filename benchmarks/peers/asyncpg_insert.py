"""No queue at all: what asyncpg needs to insert the same payloads into a table with a key.

It is the limit that a queue on this client can come near to, so it has no worker.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from uuid import uuid4

import asyncpg
from benchmarks.peers.program import Counts, payload, serve

_BULK = 1_000
_TABLE = """
create table jobs (
    id text primary key,
    priority smallint not null,
    run_at timestamptz not null default now(),
    payload bytea not null
)
"""
_ONE = "insert into jobs (id, priority, payload) values ($1, $2, $3)"
_MANY = """
insert into jobs (id, priority, payload)
select * from unnest($1::text[], $2::smallint[], $3::bytea[])
"""


class AsyncpgInsert:
    """A table, and asyncpg."""

    packages = ("asyncpg",)
    configuration = f"one connection, prepared statements, {_BULK:,} rows in an `unnest`"

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._url = arguments.url

    async def create(self) -> None:
        """Create the table."""
        await self._connection.execute(_TABLE)

    async def open(self) -> None:
        """Connect."""
        self._connection = await asyncpg.connect(self._url)

    async def enqueue(self, number: int, delay: float) -> None:
        """Insert one row."""
        body = json.dumps(payload(number)).encode()
        await self._connection.execute(_ONE, str(uuid4()), 4, body)

    async def enqueue_many(self, numbers: range) -> None:
        """Insert many rows."""
        for first in range(0, len(numbers), _BULK):
            bodies = [json.dumps(payload(n)).encode() for n in numbers[first : first + _BULK]]
            ids = [str(uuid4()) for _ in bodies]
            await self._connection.execute(_MANY, ids, [4] * len(bodies), bodies)

    async def count(self) -> Counts:
        """Count the rows."""
        return Counts(await self._connection.fetchval("select count(*) from jobs"), None)

    async def work(self, ran: Callable[[int], None]) -> None:
        """There is nothing to work on."""
        raise NotImplementedError("a table of rows has no worker")

    async def stop(self) -> None:
        """There is no worker."""

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()


def main() -> None:
    """Run it."""
    serve(AsyncpgInsert)
