"""Workers are killed at any moment: what `job.transaction()` wrote is there exactly once."""

from __future__ import annotations

import signal
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from packages.core.tests.application.helpers import eventually
from packages.core.tests.application.processes import Site, ended
from packages.core.tests.application.stores import Store

JOBS = 240
ROUNDS = 4
MOST_TURNS = 10_000
LEASE = "lease=1.5"


@pytest.fixture
async def site(sql_store: Store, tmp_path: Path) -> AsyncIterator[Site]:
    """A place where several processes meet, with a table `effects`."""
    folder = tmp_path / "runs"
    folder.mkdir()
    made = Site(sql_store.url, folder)
    yield made
    await made.end()


async def effects(store: Store) -> Counter[str]:
    """Return how often each job has written its row."""
    return Counter(what for (what,) in await store.fetch("select what from effects"))


async def kill(worker: Process) -> None:
    """Kill a process that is alive, and wait for its end."""
    worker.kill()
    assert await ended(worker) == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
async def test_no_effect_is_lost_or_repeated_whenever_workers_are_killed(
    site: Site, sql_store: Store, seed: int
) -> None:
    random = Random(seed)
    ids = await site.produce(JOBS, "together")
    # Many lives are short: a worker may have done everything before a long one is over.
    lives = [[int(MOST_TURNS ** random.random()) for _ in range(2)] for _ in range(ROUNDS)]
    for turns in lives:
        workers = [await site.start("work", LEASE, f"turns={turn}") for turn in turns]
        await site.until_over(workers, ids)
    await site.start("work", LEASE)
    await eventually(lambda: site.all_completed(ids))
    assert await effects(sql_store) == Counter(ids), f"seed {seed}: killed after {lives} turns"
    # It has been tried: jobs were cut off in the middle of a run.
    assert sum(record.crashes for record in await site.records(ids)) > 0


async def until_held(site: Site, job_id: str) -> Process:
    """Start a worker, and return it when the job stands still in it."""
    worker = await site.start("work", LEASE)

    async def is_held() -> bool:
        return bool(site.lines(job_id))

    await eventually(is_held)
    return worker


async def test_what_was_not_committed_is_written_by_the_next_run_alone(
    site: Site, sql_store: Store
) -> None:
    ids = await site.produce(1, "held_before_the_commit")
    await kill(await until_held(site, ids[0]))
    assert await effects(sql_store) == Counter()
    await site.start("work", LEASE)
    await eventually(lambda: site.all_completed(ids))
    assert await effects(sql_store) == Counter(ids)


async def test_what_was_committed_completed_the_job_though_its_worker_died(
    site: Site, sql_store: Store
) -> None:
    ids = await site.produce(1, "held_after_the_commit")
    await kill(await until_held(site, ids[0]))
    assert await site.all_completed(ids)
    assert await effects(sql_store) == Counter(ids)


async def test_with_a_commit_of_its_own_the_same_kill_repeats_the_effect(
    site: Site, sql_store: Store
) -> None:
    """So these tests can fail: at least once is what a job has without `job.transaction()`."""
    ids = await site.produce(1, "held_after_a_commit_of_its_own")
    await kill(await until_held(site, ids[0]))
    assert await effects(sql_store) == Counter(ids)
    await site.start("work", LEASE)
    await eventually(lambda: site.all_completed(ids))
    assert await effects(sql_store) == Counter(ids * 2)
