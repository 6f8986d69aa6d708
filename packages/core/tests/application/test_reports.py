"""Progress and logs: seen while a job runs, kept when it ends, harmful to nobody."""

from __future__ import annotations

import asyncio
import json

import pytest
from packages.core.tests.application.faults import Faulty, Gate
from packages.core.tests.application.helpers import eventually, within, working
from packages.core.tests.application.stores import Store

from stoker import JobRun, JobState, Router, Stoker


async def test_progress_and_logs_are_seen_while_the_job_runs(store: Store) -> None:
    router = Router[object]("jobs")
    release = asyncio.Event()

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        run.log("reading", file="a.txt")
        await run.progress(50, "half")
        await release.wait()
        run.log("done")
        await run.progress(100)

    async with Stoker(store.url, jobs=[router], context=object()) as app, within(), working(app):
        handle = await app.schedule(job)

        async def half() -> bool:
            record = await handle.record()
            return record is not None and record.progress is not None and len(record.logs) == 1

        await eventually(half)
        record = await handle.record()
        assert record is not None
        assert record.state is JobState.RUNNING
        assert json.loads(record.progress or b"") == {"percent": 50, "message": "half"}
        entry = json.loads(record.logs[0])
        assert (entry["message"], entry["file"]) == ("reading", "a.txt")
        release.set()
        await handle.result()
        record = await handle.record()
        assert record is not None
        assert json.loads(record.progress or b"")["percent"] == 100
        assert [json.loads(entry)["message"] for entry in record.logs] == ["reading", "done"]


async def test_reports_that_are_under_way_when_the_handler_returns_are_not_lost(
    faulty: Faulty,
) -> None:
    router = Router[object]("jobs")
    gate = faulty.faults["extend"] = Gate(only=1)
    returned = asyncio.Event()

    @router.job
    async def job(_: None, __: object, run: JobRun) -> None:
        run.log("the last words")
        await run.progress(100)
        await gate.reached.wait()
        returned.set()

    async with Stoker(faulty, jobs=[router], context=object()) as app, within():
        handle = await app.schedule(job)
        async with working(app):
            await returned.wait()
            for _ in range(20):  # turns in which a settlement without the reports would go out
                await asyncio.sleep(0)
            gate.open()
            await handle.result()
        record = await handle.record()
    assert record is not None
    assert [json.loads(entry)["message"] for entry in record.logs] == ["the last words"]
    assert json.loads(record.progress or b"{}")["percent"] == 100


async def test_a_handler_that_floods_its_reports_harms_nobody(store: Store) -> None:
    router = Router[object]("jobs")

    @router.job
    async def flood(_: None, __: object, run: JobRun) -> int:
        for number in range(5_000):
            run.log("x" * 10_000, number=number)
        await run.progress(50, "x" * 3_000_000)
        await asyncio.sleep(0)
        return 7

    async with Stoker(store.url, jobs=[router], context=object()) as app, within(), working(app):
        handle = await app.schedule(flood)
        assert await handle.result() == 7
        record = await handle.record()
    assert record is not None
    assert len(record.logs) == 100
    assert json.loads(record.logs[0])["message"]


@pytest.mark.parametrize(
    "odd",
    [
        "\ud800",
        "\0",
        float("nan"),
        object(),
    ],
    ids=["surrogate", "NUL", "NaN", "object"],
)
async def test_odd_values_in_reports_do_not_cost_the_job(store: Store, odd: object) -> None:
    router = Router[object]("jobs")

    @router.job
    async def job(_: None, __: object, run: JobRun) -> int:
        run.log(f"odd {odd}", value=odd)
        await run.progress(50, f"odd {odd}")
        await asyncio.sleep(0)
        return 7

    async with Stoker(store.url, jobs=[router], context=object()) as app, within(), working(app):
        assert await (await app.schedule(job)).result() == 7
