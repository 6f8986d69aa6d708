"""The server crashes and starts again under load: an application that goes on loses nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import count
from random import Random
from typing import Any

import asyncpg
import pytest
from tools.servers.postgres import PostgresServer

from stoker import Fixed, JobRecord, JobRun, JobState, Router, Stoker, WorkerOptions
from stoker.errors import DriverUnavailable
from stoker.job import TERMINAL_STATES
from stoker_postgres import PostgresDriver

CRASHES = 2
MORE = 60
"""So many jobs are acknowledged before, between and after the crashes."""
PRODUCERS = 4
LEASE = 3.0
ALIVE = frozenset(JobState) - TERMINAL_STATES


class Load:
    """An application whose jobs count their runs, and a producer that never gives up."""

    def __init__(self, driver: PostgresDriver) -> None:
        self.router = Router[None]("load")
        self.runs: Counter[str] = Counter()
        self.successes: Counter[str] = Counter()
        self.inside = asyncio.Semaphore(0)
        """Released by each handler that is where it waits."""
        self.crashed = asyncio.Event()
        self.release = asyncio.Event()
        self.acknowledged: list[str] = []
        self.news = asyncio.Event()
        self._numbers = count()
        self._define()
        self.app = Stoker(
            driver,
            jobs=[self.router],
            context=None,
            autostart_worker=WorkerOptions(lease=LEASE, poll=0.5),
        )

    def _define(self) -> None:
        router = self.router

        @router.job
        async def plain(_: None, __: None, run: JobRun) -> None:
            self.runs[run.id] += 1

        @router.job(attempts=1_000, backoff=Fixed(0.05))
        async def together(_: None, __: None, run: JobRun) -> None:
            self.runs[run.id] += 1
            async with run.transaction() as connection:
                await connection.execute("insert into effects values ($1)", run.id)

        @router.job(attempts=1_000, backoff=Fixed(0.05))
        async def across(_: None, __: None, run: JobRun) -> None:
            self.runs[run.id] += 1
            async with run.transaction() as connection:
                await connection.execute("insert into effects values ($1)", run.id)
                self.inside.release()
                await self.crashed.wait()

        @router.job
        async def hold(_: None, __: None, run: JobRun) -> None:
            self.runs[run.id] += 1
            self.inside.release()
            await self.release.wait()

        @router.on_success
        def note(run: JobRun, _: Any) -> None:
            self.successes[run.id] += 1

    async def start(self, kind: str) -> list[str]:
        """Schedule three jobs, and return their ids when all of them are where they wait."""
        handles = [await self.app.schedule(self.router.jobs[kind]) for _ in range(3)]
        for _ in handles:
            await self.inside.acquire()
        return [handle.id for handle in handles]

    async def produce(self) -> None:
        """Schedule jobs, each until it is acknowledged."""
        while True:
            number = next(self._numbers)
            kind = "plain" if number % 2 else "together"
            job_id = f"{kind}-{number:06}"
            while True:
                try:
                    await self.app.schedule(self.router.jobs[kind], job_id=job_id)
                    break
                except DriverUnavailable:
                    await asyncio.sleep(0.01)
            self.acknowledged.append(job_id)
            self.news.set()

    async def until_more(self, count: int) -> None:
        """Wait until so many more jobs have been acknowledged."""
        wanted = len(self.acknowledged) + count
        while len(self.acknowledged) < wanted:
            self.news.clear()
            await self.news.wait()

    async def ended(self, job_id: str) -> JobRecord:
        """Return the record of a job when it has ended."""
        while True:
            record = await self.app.get(job_id, queue="default")
            assert record is not None, f"{job_id} was acknowledged, and is lost"
            if record.state in TERMINAL_STATES:
                return record
            await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
async def test_an_application_outlives_crashes_of_its_server_and_loses_nothing(
    server: PostgresServer, driver: PostgresDriver, schema: str, raw: Any, seed: int
) -> None:
    random = Random(seed)
    await raw.execute(f"create table {schema}.effects (job text not null)")
    load = Load(PostgresDriver(f"{server.url}?search_path={schema}", schema=schema))
    async with asyncio.timeout(100), load.app as app:
        held, across = await load.start("hold"), await load.start("across")
        producers = [asyncio.create_task(load.produce()) for _ in range(PRODUCERS)]
        for _ in range(CRASHES):
            await load.until_more(MORE + random.randrange(MORE))
            await asyncio.to_thread(server.restart)
            load.crashed.set()
        await load.until_more(MORE)
        for producer in producers:
            producer.cancel()
        await asyncio.wait(producers)
        load.release.set()
        long = [await load.ended(job_id) for job_id in held]
        torn = [await load.ended(job_id) for job_id in across]
        records = [await load.ended(job_id) for job_id in load.acknowledged]
        # More may have been stored, whose acknowledgement was not waited for.
        others = await app.search(queue="default", states=ALIVE)
        for record in others.records:
            await load.ended(record.key.id)

    # Handlers that were running went on: the worker came back for their leases before anybody.
    assert [(r.state, r.attempt, r.crashes) for r in long] == [(JobState.COMPLETED, 1, 0)] * 3
    assert [load.runs[record.key.id] for record in long] == [1] * 3
    # Transactions that were open came to nothing, and were an attempt.
    assert min(record.attempt + record.crashes for record in torn) > 1
    for record in [*records, *torn]:
        job_id = record.key.id
        assert record.state is JobState.COMPLETED, job_id
        # Each run is an attempt that failed, the last one, or one whose lease had to expire.
        assert 1 <= load.runs[job_id] <= record.attempt + record.crashes, job_id
        assert record.attempt == 1 or not job_id.startswith("plain"), job_id
        assert load.successes[job_id] == 1, job_id
    query = f"select job from {schema}.effects"
    connection = await asyncpg.connect(server.url)
    effects = Counter(job for (job,) in await connection.fetch(query))
    await connection.close()
    assert set(effects.values()) == {1}
    wanted = [job_id for job_id in load.acknowledged if job_id.startswith("together")]
    assert {*wanted, *across} <= set(effects)
