"""Several processes on one store: one schedules, others run, and any may be killed."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from packages.core.tests.application.helpers import eventually
from packages.core.tests.application.processes import Site, ended
from packages.core.tests.application.stores import Store

from stoker import JobState


@pytest.fixture
async def site(shared_store: Store, tmp_path: Path) -> AsyncIterator[Site]:
    """A place where several processes meet."""
    folder = tmp_path / "runs"
    folder.mkdir()
    made = Site(shared_store.url, folder)
    yield made
    await made.end()


async def test_jobs_of_one_process_run_in_another_which_stops_when_told(site: Site) -> None:
    worker = await site.start("work")
    ids = await site.produce(20, "quick")
    await eventually(lambda: site.all_completed(ids))
    worker.send_signal(signal.SIGTERM)
    assert await ended(worker) == 0
    assert [site.lines(job_id) for job_id in ids] == [["ran"]] * 20


async def test_two_processes_share_the_jobs_and_run_each_once(site: Site) -> None:
    workers = [await site.start("work"), await site.start("work")]
    ids = await site.produce(60, "quick")
    await eventually(lambda: site.all_completed(ids))
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        assert await ended(worker) == 0
    assert [site.lines(job_id) for job_id in ids] == [["ran"]] * 60


async def test_a_worker_that_is_told_to_stop_lets_its_jobs_finish(site: Site) -> None:
    ids = await site.produce(3, "patient")
    worker = await site.start("work")
    await eventually(lambda: _true(all(site.lines(job_id) for job_id in ids)))
    worker.send_signal(signal.SIGTERM)
    site.go()
    assert await ended(worker) == 0
    assert await site.all_completed(ids)
    assert [site.lines(job_id) for job_id in ids] == [["started 0", "ran"]] * 3


async def test_a_worker_whose_grace_is_over_gives_its_jobs_back(site: Site) -> None:
    ids = await site.produce(3, "patient")
    worker = await site.start("work", "grace=0.05")
    await eventually(lambda: _true(all(site.lines(job_id) for job_id in ids)))
    worker.send_signal(signal.SIGTERM)
    assert await ended(worker) == 0
    records = await site.records(ids)
    assert [(r.state, r.attempt, r.crashes) for r in records] == [(JobState.READY, 0, 0)] * 3


async def test_a_killed_worker_loses_nothing(site: Site) -> None:
    patient = await site.produce(5, "patient")
    first = await site.start("work", "lease=1")
    await eventually(lambda: _true(all(site.lines(job_id) for job_id in patient)))
    quick = await site.produce(20, "quick")
    first.send_signal(signal.SIGKILL)
    assert await ended(first) == -signal.SIGKILL
    assert {record.state for record in await site.records(patient)} == {JobState.RUNNING}
    site.go()
    second = await site.start("work", "lease=1")
    await eventually(lambda: site.all_completed(patient + quick))
    second.send_signal(signal.SIGTERM)
    assert await ended(second) == 0
    assert [site.lines(job_id) for job_id in patient] == [["started 0", "started 1", "ran"]] * 5
    assert {"ran"} == {line for job_id in quick for line in site.lines(job_id)}
    records = await site.records(patient)
    assert [(r.attempt, r.crashes) for r in records] == [(1, 1)] * 5


async def test_a_frozen_worker_that_wakes_up_late_does_not_count(site: Site) -> None:
    ids = await site.produce(1, "patient")
    first = await site.start("work", "lease=1")
    await eventually(lambda: _true(bool(site.lines(ids[0]))))
    first.send_signal(signal.SIGSTOP)
    second = await site.start("work", "lease=1")
    await eventually(lambda: _true(len(site.lines(ids[0])) == 2))
    site.go()
    await eventually(lambda: site.all_completed(ids))
    first.send_signal(signal.SIGCONT)
    for worker in (first, second):
        worker.send_signal(signal.SIGTERM)
        assert await ended(worker) == 0
    (record,) = await site.records(ids)
    assert (record.state, record.attempt, record.crashes) == (JobState.COMPLETED, 1, 1)


async def test_a_thread_that_never_ends_does_not_keep_the_process_from_ending(site: Site) -> None:
    ids = await site.produce(1, "stuck")
    worker = await site.start("work", "grace=0.05")
    await eventually(lambda: _true(bool(site.lines(ids[0]))))
    worker.send_signal(signal.SIGTERM)
    await ended(worker)


async def _true(answer: bool) -> bool:
    return answer
