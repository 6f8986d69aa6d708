"""Stoker on PostgreSQL."""

from __future__ import annotations

import argparse

import asyncpg
from benchmarks.peers.program import FILLED, TEXT, Counts, serve
from benchmarks.peers.stoker_peer import StokerPeer

from stoker_postgres import PostgresDriver

_COUNT = """
select
    (select count(*) from stoker.jobs where finished_at is null),
    (select count(*) from stoker.jobs where state = 'completed')
"""
# Jobs of one state. Ids rise as those of the core do, and come before all of them.
_FILL = """
insert into stoker.jobs (
    queue, id, name, payload, payload_version, priority, place, max_attempts, max_crashes,
    enqueued_at, run_at, state, ready_at, finished_at, attempt
)
select
    'default', lpad(to_hex(n), 32, '0'), 'bench.noop',
    convert_to(format('{"number":%s,"text":"%s"}', n, $4::text), 'UTF8'), 1, 4,
    nextval('stoker.places'), 1, 5, now(),
    case when $3 = 'scheduled' then now() + interval '1 day' else now() end,
    $3, case when $3 <> 'scheduled' then now() end, case when $3 = 'failed' then now() end,
    case when $3 = 'failed' then 1 else 0 end
from generate_series($1::bigint, $2::bigint) as n
"""


class StokerPostgres(StokerPeer):
    """Stoker with its PostgreSQL driver."""

    packages = ("stoker", "stoker-postgres", "asyncpg", "pydantic")

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__(arguments, PostgresDriver(arguments.url))
        self._url = arguments.url

    async def open(self) -> None:
        """Connect; also for questions that are not put to the driver."""
        await super().open()
        self._asking = await asyncpg.connect(self._url)

    async def close(self) -> None:
        """Disconnect."""
        await super().close()
        await self._asking.close()

    async def fill(self, ready: int, scheduled: int, finished: int) -> None:
        """Store jobs of all ages; the finished ones have failed, so that no retention ends them."""
        first = FILLED
        for state, jobs in (("ready", ready), ("scheduled", scheduled), ("failed", finished)):
            await self._asking.execute(_FILL, first, first + jobs - 1, state, TEXT)
            first += jobs
        await self._asking.execute("vacuum (analyze) stoker.jobs")

    async def count(self) -> Counts:
        """Count the jobs in the store."""
        unfinished, finished = await self._asking.fetchrow(_COUNT)
        return Counts(unfinished, None if self._removes else finished)


def main() -> None:
    """Run it."""
    serve(StokerPostgres, "remove", "full")
